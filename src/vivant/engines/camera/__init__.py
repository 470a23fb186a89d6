"""The embedded engine ``camera``: an eased, sub-pixel-smooth move with parallax.

::

    options.py  what the user may choose
    path.py     where the camera is at each frame
    canvas.py   the picture, as the windows sample it
    layers.py   the picture as two planes
    scene.py    draw one frame
    engine.py   portrait and request in, clip out
"""

from vivant.engines.camera.engine import CameraEngine
from vivant.engines.camera.options import CameraOptions

__all__ = ["CameraEngine", "CameraOptions"]
