"""HTTP: the Videos API, the web page, and what operators look at.

::

    app.py              assembles the application
    server.py           runs it, with its worker processes
    connections.py      limits on heads, their time, and how many connections there may be
    state.py            what all routes share
    routes/             the addresses
    schemas.py          the fields of requests
    openapi.py          bodies, answers and examples of the OpenAPI document
    uploads/            bodies of requests
    submission.py       clips accepted, cancelled, deleted
    comparison/         comparisons of variants
    video_answer.py     jobs and batches as clients see them
    small_pictures.py   small copies of thumbnails, for lists
    file_names.py       names under which a clip's files are saved
    events.py           a job's events, streamed
    estimates.py        time and cost beforehand
    engine_options.py   options checked before a job is accepted
    live_workers.py     which workers are alive
    crop_worker.py      decodes pictures for /v1/crops and /v1/previews,
    isolated_process.py   in a process at which requests take turns
    preview_clips.py    short clips of low size, drawn in that process
    examples.py         the looping examples of the page's first screen
    auth.py             API keys, access tokens, the rate limit
    guard.py            hosts, origins, headers and the log of requests
    errors.py           every error → the client's JSON, in one place

This process never loads torch, never decodes a picture that somebody sent, and holds none in
memory.
"""
