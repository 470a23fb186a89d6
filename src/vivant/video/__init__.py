"""Frames → an MP4 with its pictures, and a video file → frames.

::

    encoder.py      RGB → YUV → H.264 MP4, and its packets decoded again
    writer.py       VideoWriter: encode and decode again, in threads of their own
    sound_file.py   a music or voice file → the sound of a clip
    sound_track.py  sound → the AAC track of an MP4
    sound_facts.py  what a finished clip's sound measures
    loudness.py     loudness, true peak, and the gain to YouTube's level
    container.py    open a video file that may be hostile
    boxes.py        order of moov and mdat, edit lists, truncation
    probe.py        facts of a finished clip
    reader.py       frames of a finished clip
    sheet.py        contact sheet and thumbnail
    files.py        output files appear whole or not at all
    stages.py       worker threads connected by short queues
    prefetch.py     produce the next items while the last one is used
    stage_times.py  seconds by stage
    cores.py        processor cores this process may use

Importing the package imports none of them. Imports nothing of engines or checks.
"""
