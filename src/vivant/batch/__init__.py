"""Many pictures at once: a folder or a CSV in, a folder of clips with one index page out.

``rows`` reads what to make, ``runner`` makes what is missing, ``page`` writes the index.
Composition above the pipeline; knows nothing of how a clip is made.
"""
