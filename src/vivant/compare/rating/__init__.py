"""The blind test: a person judges pairs of clips, and the checks are compared with the judgements.

``pairs`` reads a folder of ``vivant compare`` or ``vivant batch``, ``journal`` stores judgements,
``agreement`` compares them with the scores, ``results`` writes that down, ``server`` serves the
pages to this machine's browser.
"""
