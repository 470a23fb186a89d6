"""478 points of a face in three dimensions, with lid aperture and head pose.

The network is ``face_landmarks_detector`` of MediaPipe's Face Landmarker (Google, Apache-2.0):
468 points of the surface (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular
Video on Mobile GPUs", 2019) and five points of each iris (Ablavatski et al., 2020). OpenCV runs
its file, which lies in ``models`` beside this module: the packages that ship it would bring
TensorFlow or a second OpenCV along. A :class:`MeshReader` is not thread-safe: give each thread its
own.

*Left* and *right* are sides of the picture, not of the person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.errors import MissingPartError
from vivant.picture.averaging import averaged
from vivant.types import Box, Face, Image

Points = npt.NDArray[np.float64]
"""``[N, 3]`` float64: x to the right and y down in pixels of the whole picture; z in the same
unit, smaller is nearer to the camera, zero near the middle of the head."""

COUNT: Final = 478
"""Points of a mesh; the last ten are the irises'."""

SIDE: Final = 256
"""Pixels; the network's input."""

PRESENT: Final = 0.5
"""Presence from which there is a face; the default of MediaPipe's Face Landmarker."""

MARGIN: Final = 1.5
"""Side of the network's input over the longer side of the points; MediaPipe's value."""

FIRST_MARGIN: Final = 1.9
"""Side of the input over the side of dlib's box, which ends at brow and chin."""

LEFT_EYE: Final = (33, 133)
"""Outer and inner corner of the eye on the picture's left."""

RIGHT_EYE: Final = (263, 362)
"""Outer and inner corner of the eye on the picture's right."""

LEFT_LIDS: Final = ((160, 144), (159, 145), (158, 153))
"""Points of the upper lid with those below them on the lower lid, the eye on the left."""

RIGHT_LIDS: Final = ((387, 373), (386, 374), (385, 380))
"""As :data:`LEFT_LIDS`, the eye on the right."""

LEFT_IRIS: Final = slice(468, 473)
"""Centre and four points of the rim (right, top, left, bottom as the mesh counts them)."""

RIGHT_IRIS: Final = slice(473, 478)
"""As :data:`LEFT_IRIS`, the eye on the right."""

# point, its place in MediaPipe's canonical face (cm; x right, y up, z to the camera), and weight:
# the Procrustes basis in geometry_pipeline_metadata_landmarks.binarypb of the Face Landmarker
_BASIS: Final = np.array([
    (4, 0.0, -0.4632, 7.5866, 0.07091), (6, 0.0, 2.4733, 5.7886, 0.0321),
    (10, 0.0, 8.2618, 4.4815, 0.00845), (33, -4.4459, 2.664, 3.1734, 0.05872),
    (54, -6.2793, 6.6154, 1.4259, 0.00767), (67, -3.524, 8.006, 3.7292, 0.00908),
    (117, -5.2587, 0.9458, 2.9743, 0.00979), (119, -3.3007, 0.8616, 3.8728, 0.01457),
    (121, -1.8207, 1.468, 4.2241, 0.01859), (127, -7.7431, 2.365, -2.0052, 0.0052),
    (129, -1.7858, -0.9783, 4.8505, 0.12063), (132, -7.2709, -2.8909, -2.2525, 0.00556),
    (133, -1.8564, 2.5852, 3.7579, 0.05329), (136, -5.0853, -7.1786, 0.7147, 0.06689),
    (143, -6.4076, 2.236, 1.5608, 0.01482), (147, -6.2349, -1.9444, 1.6635, 0.01426),
    (198, -1.2468, 0.2303, 5.681, 0.02546), (205, -3.8329, -1.5373, 4.1377, 0.04725),
    (263, 4.4459, 2.664, 3.1734, 0.05872), (284, 6.2793, 6.6154, 1.4259, 0.00767),
    (297, 3.524, 8.006, 3.7292, 0.00908), (346, 5.2587, 0.9458, 2.9743, 0.00979),
    (348, 3.3007, 0.8616, 3.8728, 0.01457), (350, 1.8207, 1.468, 4.2241, 0.01859),
    (356, 7.7431, 2.365, -2.0052, 0.0052), (358, 1.7858, -0.9783, 4.8505, 0.12063),
    (361, 7.2709, -2.8909, -2.2525, 0.00556), (362, 1.8564, 2.5852, 3.7579, 0.05329),
    (365, 5.0853, -7.1786, 0.7147, 0.06689), (372, 6.4076, 2.236, 1.5608, 0.01482),
    (376, 6.2349, -1.9444, 1.6635, 0.01426), (420, 1.2468, 0.2303, 5.681, 0.02546),
    (425, 3.8329, -1.5373, 4.1377, 0.04725),
])  # fmt: skip

POSE_POINTS: Final = tuple(int(index) for index in _BASIS[:, 0])
"""Points that move little with expression."""

POSE_WEIGHTS: Final[npt.NDArray[np.float64]] = _BASIS[:, 4] / _BASIS[:, 4].sum()
"""How much each of :data:`POSE_POINTS` counts for the pose; they sum up to one."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where a head is turned, in degrees; all zero for a face that looks into the camera.

    Attributes:
        yaw: positive to the picture's right.
        pitch: positive upwards.
        roll: positive clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """The points of one face.

    Attributes:
        points: ``[478, 3]``, see :data:`Points`.
        presence: 0 … 1, how sure the network is that this is a face (see :data:`PRESENT`).
    """

    points: Points
    presence: float

    @property
    def box(self) -> Box:
        """Tight box around the points."""
        left, top = self.points[:, :2].min(axis=0)
        right, bottom = self.points[:, :2].max(axis=0)
        return Box(float(left), float(top), float(right - left), float(bottom - top))

    @property
    def apertures(self) -> tuple[float, float]:
        """How far the left and the right eye are open: height over width in three dimensions.

        About 0.3 for an open eye and under 0.1 for a closed one. The eye aspect ratio of
        Soukupová and Čech (2016), with the three pairs of lid points of the mesh.
        """
        return self._aperture(LEFT_EYE, LEFT_LIDS), self._aperture(RIGHT_EYE, RIGHT_LIDS)

    @property
    def lid_gaps(self) -> tuple[float, float]:
        """Gap between the lids over the eye's width, as the picture shows it, left and right eye.

        About 0.3 for an open eye, near 0 for a closed one. :attr:`apertures` stay at about 0.1
        then: they count the difference in depth of the two lids.
        """
        return self._gap(LEFT_EYE, LEFT_LIDS), self._gap(RIGHT_EYE, RIGHT_LIDS)

    def _gap(self, corners: tuple[int, int], lids: tuple[tuple[int, int], ...]) -> float:
        flat = self.points[:, :2]
        upper, lower = np.array(lids).T
        along = flat[corners[1]] - flat[corners[0]]
        width = max(1e-9, float(np.linalg.norm(along)))
        down = np.array([-along[1], along[0]]) * (np.sign(along[0]) or 1.0) / width
        return float(((flat[lower] - flat[upper]) @ down).mean() / width)

    def _aperture(self, corners: tuple[int, int], lids: tuple[tuple[int, int], ...]) -> float:
        upper, lower = np.array(lids).T
        heights = np.linalg.norm(self.points[upper] - self.points[lower], axis=1)
        width = np.linalg.norm(self.points[corners[0]] - self.points[corners[1]])
        return float(heights.mean() / max(1e-9, width))

    @property
    def pose(self) -> HeadPose:
        """Where the head is turned, from MediaPipe's canonical face laid onto the points.

        Weighted orthogonal Procrustes (Kabsch, 1976) without perspective: differences between
        frames of one face are more exact than the angles themselves.
        """
        turn, _ = self._laid()
        ahead = turn[:, 2]
        yaw = math.atan2(ahead[0], ahead[2])
        pitch = math.asin(float(np.clip(ahead[1], -1.0, 1.0)))
        level = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])  # to the right, without roll
        above = np.cross(ahead, level)
        roll = -math.atan2(float(turn[:, 0] @ above), float(turn[:, 0] @ level))
        return HeadPose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))

    @property
    def unlikeness(self) -> float:
        """How far the points lie from the canonical face, in its centimetres (root mean square).

        0.2 to 0.55 for photographed people, up to 0.75 for drawn ones with large eyes.
        """
        return self._laid()[1]

    @property
    def iris_size(self) -> float:
        """Diameter of the irises over the distance between the pupils: 0.17 to 0.25."""
        left, right = self.points[LEFT_IRIS, :2], self.points[RIGHT_IRIS, :2]
        wide = np.mean([np.linalg.norm(iris[1] - iris[3]) for iris in (left, right)])
        return float(wide / max(1e-9, float(np.linalg.norm(left[0] - right[0]))))

    def _laid(self) -> tuple[npt.NDArray[np.float64], float]:
        """``[3, 3]`` turn that lays the canonical face onto the points, and what is left over."""
        model, weights = _BASIS[:, 1:4], POSE_WEIGHTS
        found = self.points[list(POSE_POINTS)] * (1.0, -1.0, -1.0)
        model = model - weights @ model
        found = found - weights @ found
        u, sizes, vt = np.linalg.svd((found * weights[:, None]).T @ model)
        hand = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
        turn = u @ np.diag(hand) @ vt
        scale = float(sizes @ hand) / float(weights @ (model**2).sum(axis=1))
        rest = found / max(scale, 1e-9) - model @ turn.T
        return turn, float(np.sqrt(weights @ (rest**2).sum(axis=1)))


class MeshReader:
    """The network, ready to run: 20 ms for each pass on two cores. Not thread-safe.

    Raises:
        MissingPartError: its file is not there.
    """

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromTFLite(model_file("face_landmarks_detector.tflite"))

    def read(self, image: Image, face: Face) -> FaceMesh:
        """The mesh of a detected face, in two passes: the second is centred by the first.

        Args:
            image: ``[H, W, 3]`` uint8 sRGB.
            face: of :class:`vivant.picture.faces.FaceReader`.
        """
        points = np.asarray(face.landmarks, np.float64)
        (x, y), side = face.box.center, max(face.box.width, face.box.height)
        angle = _slope(points[2:4].mean(axis=0), points[0:2].mean(axis=0))
        return self.follow(image, self._pass(image, x, y, FIRST_MARGIN * side, angle))

    def follow(self, image: Image, mesh: FaceMesh) -> FaceMesh:
        """The mesh of a face that was at ``mesh`` one frame before, in one pass."""
        flat = mesh.points[:, :2]
        angle = _slope(flat[LEFT_EYE[0]], flat[RIGHT_EYE[0]])
        cos, sin = math.cos(angle), math.sin(angle)
        upright = flat @ np.array([[cos, -sin], [sin, cos]])
        low, high = upright.min(axis=0), upright.max(axis=0)
        x, y = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
        return self._pass(image, float(x), float(y), MARGIN * float((high - low).max()), angle)

    def _pass(self, image: Image, x: float, y: float, side: float, angle: float) -> FaceMesh:
        """Run the network on the square of ``side`` pixels around (x, y), turned by ``angle``."""
        scale = SIDE / max(side, 1.0)
        cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
        matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
        matrix[:, 2] = SIDE / 2 - matrix[:, :2] @ (x, y)
        values = _sample(image, matrix, x, y, side) / np.float32(255)
        self._net.setInput(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
        found, presence = self._net.forward(("Identity", "Identity_1"))
        points = np.asarray(found, np.float64).reshape(COUNT, 3)
        whole = np.empty_like(points)
        whole[:, :2] = (points[:, :2] - matrix[:, 2]) @ matrix[:, :2] / scale**2
        whole[:, 2] = points[:, 2] / scale
        return FaceMesh(whole, 1.0 / (1.0 + math.exp(-float(presence.ravel()[0]))))


def model_file(name: str) -> str:
    """Path of a network's file in ``models``.

    Raises:
        MissingPartError: it is not there.
    """
    path = Path(__file__).parent / "models" / name
    if not path.is_file():
        raise MissingPartError(f"{name} is missing from Vivant: reinstall Vivant, it is part of it")
    return str(path)


def _slope(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float:
    """Angle of the line between two points in radians, clockwise."""
    return math.atan2(float(right[1] - left[1]), float(right[0] - left[0]))


def _sample(
    image: Image, matrix: npt.NDArray[np.float64], x: float, y: float, side: float
) -> npt.NDArray[np.float32]:
    """The network's input, ``[256, 256, 3]`` float32 0 … 255; averaged where it is smaller."""
    step = int(side / SIDE)
    if step > 1:
        height, width = image.shape[:2]
        reach = side * 0.75  # half the diagonal, and a little more
        left, right = (int(np.clip(v, 0, width - 1)) for v in (x - reach, x + reach))
        top, bottom = (int(np.clip(v, 0, height - 1)) for v in (y - reach, y + reach))
        part = image[top : bottom + 1, left : right + 1]
        step = min(step, *part.shape[:2])
        image = averaged(part, step)
        offset = [left + (step - 1) / 2, top + (step - 1) / 2]
        matrix = np.column_stack([matrix[:, :2] * step, matrix[:, :2] @ offset + matrix[:, 2]])
    drawn = cv2.warpAffine(
        image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return drawn.astype(np.float32)
