"""Durable jobs: accepted once, made once, whatever is killed meanwhile.

::

    tables.py     what is remembered: jobs, events, workers, keys, timings
    database.py   SQLite or Postgres; transactions that ride out a restart
    job.py        a Job as others see it
    queues.py     names of queues, and the version of their stages
    admission.py  accept or refuse, count and enqueue in one transaction
    comparisons.py  which jobs answer one question together, and what they showed
    ledger.py     read, report on, cancel, finish and delete jobs
    progress.py   stages → one percentage and the time left
    reporter.py   writes progress beside the work, and notices a cancel
    stages.py     prepare → render → publish: what a worker does for a job
    clips.py      the clips of a run: made by the pipeline, stored as attempts
    until_pass.py a job's attempts until its clip passes
    preparation.py  a job's picture, decoded and framed
    engines.py    a worker's engines, loaded once each
    scratch.py    a place for files on their way
    prices.py     what a run has cost
    trouble.py    what a client is told of an error
    worker.py     a worker process: queues, heartbeat, take-over, sweeping
    news.py       is there work? told, without asking the queues
    claims.py     takes stages off the queues, as there is room
    handover.py   stages off the queues, and those of the dead and the leaving back into them
    operations.py what operators do: find, cancel, retry, purge
    supervise.py  keeps worker processes alive

DBOS runs the stages as durable workflows whose ids come from the job's id; their arguments are
that id, never a picture. What clients see lives in tables of our own in the same database, so
that accepting a job and enqueueing it is one transaction. Knows nothing of HTTP.
"""
