"""Several requests in one call: engines stay loaded, and each request has one outcome.

::

    run.py             the core: makes clips one after another, engines stay loaded
    seeds.py           one picture, several seeds
    shared_engine.py   what the clips of a series share
    seeds_page.py      their index: a page and a contact sheet
    batch.py           a folder or a CSV of pictures
    batch_rows.py      what each row asks for
    batch_tables.py    the outcome as CSV and JSON
    index_page.py      the index page of a folder of clips
    until_pass.py      try again until the clip passes
    attempts.py        what to try next, and which attempt is the best
    remedies.py        which change helps against which failed check
    budget.py          seconds or money that may be spent
    clip_cache.py      which clips are already there
    estimates.py       how long a clip will take: the one formula
    timing_history.py  how long clips took on this machine

Comparisons (:mod:`vivant.compare.runner`) and the service's jobs
(:mod:`vivant.service.until_pass`) use the same core.
"""
