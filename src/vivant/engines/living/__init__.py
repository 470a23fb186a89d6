"""The embedded engine ``living``: the people of a picture breathe, blink and turn a little.

::

    options.py   what the user may choose; presets, and the words that choose them
    people.py    which faces can live, and which of their parts keep still
    motion.py    which movement happens when
    fields.py    how far each movement shifts each part of the picture
    eyes.py      draw an eye: blink and gaze
    lid.py       what covers a closed eye
    glasses.py   rims of glasses, which lie before the lid
    skin_film.py skin where something else is, from the skin around it
    skin_grain.py grain for drawn skin, from the cheek
    cut_out.py   the people and the background as two planes
    puppets.py   the people cut out, with their fields and eyes; no preset has a part in it
    preflight.py draw and measure key frames before the clip
    scene.py     draw one frame from the planes
    renderer.py  puppets, motion and camera path together: any frame of a clip
    engine.py    portrait and request in, clip out
    sketches.py  small clips of one portrait, one for each preset
"""

from vivant.engines.living.engine import LivingEngine
from vivant.engines.living.options import LivingOptions
from vivant.engines.living.sketches import Sketches

__all__ = ["LivingEngine", "LivingOptions", "Sketches"]
