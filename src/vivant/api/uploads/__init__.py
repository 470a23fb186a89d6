"""Bodies of requests: pictures to files, fields to values, within limits while they come in.

::

    reader.py         reads a body and gives its fields and pictures
    body.py           its bytes, counted and timed
    multipart.py      forms
    json_body.py      JSON with pictures as base64
    picture_files.py  the pictures' files
    fetch.py          pictures by URL, where that is switched on
"""
