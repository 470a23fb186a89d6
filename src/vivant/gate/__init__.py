"""The gate: try again until the clip passes, with the remedy that fits, within a budget.

``remedies`` knows what helps against what, ``budget`` counts what was spent, ``story`` decides
what to try next and which attempt is best, ``animate`` makes the clips. The first three know
nothing of how a clip is made, so that whoever makes clips elsewhere can use them.
"""
