"""Where the iris and the upper lid are in one eye, told from a picture of that eye alone.

The network is ``iris_landmark`` of MediaPipe Iris (Ablavatski et al., 2020; Google, Apache-2.0).
OpenCV runs its file, which lies in ``models`` beside this module. The face mesh moves both irises
together, and both lids; this network sees one eye, so it sees eyes that turn against each other
and a lid that droops alone. An :class:`IrisReader` is not thread-safe.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vivant.picture.face_mesh import model_file
from vivant.types import Image

SIDE: Final = 64
"""Pixels; the network's input."""

EYE: Final = SIDE / 2.3
"""Pixels from corner to corner of an eye in it; MediaPipe's value."""

CORNERS: Final = (0, 8)
"""Points of the network's outline of the eye: outer and inner corner."""

UPPER_LID: Final = slice(10, 15)
"""Points along the upper lid, without those next to the corners."""

_OUTPUTS: Final = ("output_eyes_contours_and_brows", "output_iris")
_POINTS: Final = (71, 5)


class IrisReader:
    """The network, ready to run: 3 ms for each eye on one core.

    Raises:
        MissingPartError: its file is not there.
    """

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromTFLite(model_file("iris_landmark.tflite"))

    def read(self, eye: Image) -> tuple[float, float]:
        """How far the iris lies towards the inner corner, and how high the upper lid is.

        Args:
            eye: ``[SIDE, SIDE, 3]`` uint8 sRGB, level, the outer corner on the left (a right eye
                is mirrored), :data:`EYE` pixels from corner to corner, in the middle.

        Returns:
            The iris from the middle of ``eye``, the lid above the middle of the network's own two
            corners; in eye widths.
        """
        values = eye.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        self._net.setInput(np.ascontiguousarray(values))
        outline, iris = (
            np.asarray(found, np.float64).reshape(count, 3)[:, :2]
            for found, count in zip(self._net.forward(_OUTPUTS), _POINTS, strict=True)
        )
        lid = outline[list(CORNERS), 1].mean() - outline[UPPER_LID, 1].mean()
        return float(iris[0, 0] - SIDE / 2) / EYE, float(lid) / EYE
