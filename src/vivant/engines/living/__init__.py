"""The embedded engine ``living``: the people of a picture breathe, blink and turn a little.

::

    options.py   what the user may choose; presets, and the words that choose them
    people.py    which faces can live, and which of their parts keep still
    motion.py    which movement happens when
    fields.py    how far each movement shifts each part of the picture
    eyes.py      draw an eye: blink and gaze
    lid.py       what covers a closed eye
    cut_out.py   the people and the background as two planes
    preflight.py draw and measure key frames before the clip
    scene.py     draw one frame
    engine.py    portrait and request in, clip out
"""

from vivant.engines.living.engine import LivingEngine
from vivant.engines.living.options import LivingOptions

__all__ = ["LivingEngine", "LivingOptions"]
