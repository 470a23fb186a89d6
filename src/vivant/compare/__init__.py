"""Decide with evidence: the same pictures and seeds through several variants.

``variants`` reads what to compare, ``runner`` makes the clips, ``statistics`` and ``judge`` say
what they show, ``tables`` and ``page`` write it down.
"""
