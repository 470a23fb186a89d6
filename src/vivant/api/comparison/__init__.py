"""Comparisons of variants by the service.

::

    fields.py      form fields or JSON → a plan this service can make
    submission.py  its estimate, and its clips accepted together
    answer.py      a comparison as clients see it
    worker.py      the process that computes statistics and pages
"""
