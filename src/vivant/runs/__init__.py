"""Several requests, warm engines, one outcome each. Above the pipeline.

::

    seeds.py           one picture, several seeds
    shared_engine.py   seeds share what their clips have in common
    seeds_page.py      their index page
    until_pass.py      try again until the clip passes
    attempts.py        what to try next, and which attempt is best
    remedies.py        which change helps against which failed check
    budget.py          seconds, attempts and money that may be spent
    batch.py           a folder or a CSV of pictures
    batch_rows.py      what each row asks for
    batch_page.py      the index page of a batch
    batch_tables.py    the same as CSV and JSON
    clip_cache.py      which clips are already there
    timing_history.py  how long clips took here, for estimates
"""
