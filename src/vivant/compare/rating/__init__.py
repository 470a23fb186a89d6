"""The blind test: a person's own judgement of pairs of clips, set against the checks.

``pairs`` reads a folder of ``vivant compare`` or ``vivant batch``, ``journal`` keeps judgements,
``agreement`` holds them against the scores, ``results`` writes that down, ``server`` serves the
pages to this machine's browser. Composition above the pipeline; makes no clips.
"""
