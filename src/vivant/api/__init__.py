"""HTTP: the Videos API, the page, and what operators look at. Routes are thin.

::

    app.py        assembles the application
    server.py     runs it, with its worker processes
    state.py      what routes share
    errors.py     every error → the client's shape, in one place
    guard.py      hosts, origins, headers and the log of requests
    auth.py       who asks, and how often
    uploads.py    bodies, read as they come in and within limits:
    body.py       their bytes, counted and timed
    form.py       multipart
    json_body.py  JSON with a picture in it
    upload.py     what came, and the file its picture goes to
    fields.py     form fields or JSON → an Order
    fetch.py      pictures by URL, where that is switched on
    videos.py     /v1/videos
    comparisons.py  /v1/comparisons
    comparing.py  one on its way in
    compared.py   one as clients see it
    plans.py      form fields or JSON → a plan this service can make
    analyst.py    the process that finds out what a comparison shows
    apart.py      such processes
    content.py    /v1/videos/{id}/content
    events.py     /v1/videos/{id}/events
    show.py       a Job as clients see it
    preview.py    /v1/crops
    previewer.py  the process that decodes for it
    models.py     /v1/models, /v1/estimate, /v1/config
    status.py     /health, /ready, /metrics
    page.py       the page's files

This process never loads torch, never decodes a picture, and holds none in memory.
"""
