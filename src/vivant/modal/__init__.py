"""Vivant on Modal: a web app on a fraction of a CPU, and GPU containers that render the clips.

::

    options.py        what the operator chooses, checked before anything is deployed
    gpus.py           Modal's GPU names, and the row of the price list each is billed by
    messages.py       what is sent to a render container and what comes back, as plain data
    backend.py        the calls that Vivant makes to Modal, as a protocol
    client.py         the protocol implemented with Modal's client
    fake.py           the protocol implemented in this process, for tests and rehearsals
    container.py      ModalContainer: runs in a render container, one engine, one clip at a time
    runner.py         ModalRunner: the service's worker, whose renders run in render containers
    web_app.py        WebApp: the page and the API, with a ModalRunner process beside it
    sqlite_backup.py  SqliteBackup: copies the web app's SQLite file to a Volume
    fill_volume.py    downloads weights into the Volume
    api_key.py        the API key that a Modal Secret holds

``deploy/modal_app.py`` puts them together. Only ``client.py`` imports Modal's client, and only
``container.py`` loads an engine.
"""
