"""Several clips of one picture that differ by their seed, in one call.

``run`` makes them, ``sharing`` divides what they have in common, ``index`` lists them.
Composition above the pipeline.
"""
