"""Frames → an MP4 with its pictures, and a video file → frames.

::

    encoder.py          RGB → YUV → H.264 MP4, and its packets decoded again
    writer.py           VideoWriter: encode, decode again and observe, in threads of their own
    reader.py           a finished clip: its facts, its frames
    sheet.py            contact sheet and thumbnail
    sheet_collector.py  picks the frames for them while they pass
    files.py            output files appear whole or not at all
    stages.py           worker threads in a row
    prefetch.py         produce the next items while the last one is used
    stage_times.py      seconds by stage
    cores.py            processor cores this process may use

Importing the package imports none of them. Imports nothing of engines or checks.
"""
