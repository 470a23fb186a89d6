"""Vivant on Modal: a light front that spawns clips, and GPU containers that render them.

::

    options.py   what the operator chooses, checked before anything is deployed
    gpus.py      GPUs that Modal lends, and the row of the price list each is billed by
    work.py      what travels to a GPU container and back, and which one it goes to
    backend.py   what is asked of Modal: spawn, poll, cancel, leave notes
    cloud.py     the same by Modal's own client
    fake.py      the same in this process: for tests, and for rehearsing without an account
    studio.py    inside a GPU container: one engine, one clip at a time
    courier.py   beside the front: a worker whose renders happen in a studio
    front.py     the API and the page, with its courier
    keeper.py    saves the front's SQLite file where there is no Postgres
    filling.py   weights into the Volume
    mint.py      the one API key that comes from a secret

``deploy/modal_app.py`` puts them together. Nothing here but ``cloud.py`` imports Modal's client,
and nothing but ``studio.py`` loads an engine.
"""
