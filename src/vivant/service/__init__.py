"""Durable jobs: an accepted job is made once, also if workers or servers are killed.

::

    job.py                    a job as clients and workers see it; names of its objects
    tables.py                 what is remembered: jobs, events, workers, keys, timings
    schema.py                 brings a database to the newest layout (migrations/, Alembic)
    database.py               SQLite or Postgres; transactions that ride out a restart
    rows.py                   rows of jobs, changed together with the event that tells of it
    queries.py                what is known of jobs, only read
    job_store.py              report on, cancel, finish and delete jobs
    objects.py                pictures, clips and reports, in a folder or an S3 bucket
    keys.py                   API keys and access tokens
    admission.py              accept or refuse: counted and enqueued in one transaction
    adapters.py               which LoRA adapters a request may name
    queue.py                  the queues of DBOS: stages added, put back, cancelled
    executor.py               DBOS in a worker: takes stages from the queues and runs them
    standby.py                shuts DBOS down while nothing waits, and launches it again
    heartbeat.py              which workers live, and which one leads
    worker.py                 a worker process
    supervisor.py             keeps worker processes alive
    stages.py                 prepare → render → publish: what a worker does for a job
    shared_exclusive_lock.py  a job that killed a worker is made alone
    preparation.py            a job's picture, decoded and framed
    picture_decoder.py        decodes pictures in processes that can be killed
    killable_process.py       such a process
    clips.py                  a run's clips, made and stored
    until_pass.py             a job that goes on until a clip passes
    engines.py                what this machine can run; a worker's engines, loaded once each
    progress.py               stages → one percentage and the time left
    reporter.py               writes progress beside the work, and notices a cancel
    run_cost.py               what a run has cost so far
    sweeper.py                removes what is due
    webhooks.py               tells a client's server that a job is over
    public_address.py         connections to addresses of the public internet only
    comparisons.py            which jobs answer one question together, and what they showed
    operations.py             what operators do: find, cancel, retry, purge
    logs.py                   lines of JSON, or text

DBOS runs the stages as durable workflows whose ids come from the job's id; their arguments are
that id, never a picture. What clients see lives in tables of our own in the same database, so
that accepting a job and enqueueing it is one transaction.
"""
