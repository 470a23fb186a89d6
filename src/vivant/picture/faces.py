"""Find faces, and tell whether two of them are the same person.

dlib's HOG detector, its five-point predictor and its ResNet embedding (King, 2017; weights CC0),
through the weight files of ``face_recognition_models``; :mod:`vivant.picture.embedding` runs the
last. The 68-point predictor in the same package is not used: its training data is licensed for
non-commercial use. A :class:`FaceReader` is not thread-safe: give each
thread its own. Only :meth:`FaceReader.embed` and :meth:`FaceReader.warm` may be called beside its
other methods.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import cv2
import dlib
import numpy as np

from vivant.errors import MissingPartError
from vivant.picture.blaze_face import BlazeFace
from vivant.picture.embedding import SIDE, Embedding, EmbeddingNetwork
from vivant.picture.face_mesh import LEFT_EYE, PRESENT, RIGHT_EYE, MeshReader, model_file
from vivant.picture.iris import IrisReader
from vivant.types import Box, Face, Image

NOSE_BASE = 2
"""Number of the mesh's point below the nose."""

UPRIGHT = 45.0
"""Degrees that a covered face may be tilted; beyond, the picture rather lies on its side."""

CHIP_PADDING = 0.25
"""Margin around the aligned face, as in dlib's training."""


@cache
def _weights(name: str) -> str:
    """Path of a weight file, found without importing its package."""
    spec = importlib.util.find_spec("face_recognition_models")
    path = Path(spec.origin).parent / "models" / name if spec and spec.origin else None
    if path is None or not path.is_file():
        raise MissingPartError(
            f"{name} is not installed: reinstall Vivant, it depends on face-recognition-models"
        )
    return str(path)


class FaceReader:
    """Detector, landmark predictor and embedding network, each loaded at first use."""

    def __init__(self) -> None:
        # the file is what dlib.get_frontal_face_detector() makes in 0.4 s; reading it takes 3 ms
        self._detector = dlib.fhog_object_detector(model_file("frontal_face_detector.svm"))
        self._points = dlib.shape_predictor(_weights("shape_predictor_5_face_landmarks.dat"))
        self._second: BlazeFace | None = None
        self._network: EmbeddingNetwork | None = None
        self._embedding = threading.RLock()
        self._mesh: MeshReader | None = None
        self._iris: IrisReader | None = None

    @property
    def mesh(self) -> MeshReader:
        """The face mesh, loaded at first use."""
        if self._mesh is None:
            self._mesh = MeshReader()
        return self._mesh

    @property
    def iris(self) -> IrisReader:
        """The network for one eye alone, loaded at first use."""
        if self._iris is None:
            self._iris = IrisReader()
        return self._iris

    def detect(
        self,
        image: Image,
        *,
        max_side: int = 640,
        min_score: float = 0.0,
        max_enlargement: float = 1.0,
    ) -> tuple[Face, ...]:
        """Frontal and near-frontal faces, largest first.

        Args:
            image: ``[H, W, 3]`` uint8 sRGB.
            max_side: the picture is searched at most this large; faces below 80 px at that
                size are not found. 25 ms at 512 px.
            min_score: HOG margin below which a detection is dropped.
            max_enlargement: how far a picture smaller than ``max_side`` is enlarged for it.
        """
        height, width = image.shape[:2]
        factor = min(max_enlargement, max_side / max(height, width))
        small = image
        if factor != 1.0:
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            kernel = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_LINEAR
            small = cv2.resize(image, size, interpolation=kernel).astype(np.uint8)
        small = np.ascontiguousarray(small)
        rectangles, scores, _ = self._detector.run(small, 0, min_score)
        faces = []
        for rectangle, score in zip(rectangles, scores, strict=True):
            box = Box(
                rectangle.left() / factor,
                rectangle.top() / factor,
                rectangle.width() / factor,
                rectangle.height() / factor,
            )
            faces.append(self.landmarks(image, box, score=float(score)))
        return tuple(sorted(faces, key=lambda face: face.box.area, reverse=True))

    def detect_covered(self, image: Image) -> tuple[Face, ...]:
        """Faces that :meth:`detect` misses, under a mask or turned away, largest first.

        The second detector proposes them, the face mesh decides. 5 ms, and 30 ms for each face.

        Args:
            image: ``[H, W, 3]`` uint8 sRGB; a face is an eighth of its longer side or more.
        """
        if self._second is None:
            self._second = BlazeFace()
        found = []
        for box, score in self._second.find(image):
            mesh = self.mesh.read(image, self.landmarks(image, box))
            x, y = mesh.box.center
            inside = box.left < x < box.right and box.top < y < box.bottom
            if not inside or mesh.presence < PRESENT or abs(mesh.pose.roll) > UPRIGHT:
                continue
            points = mesh.points[[*RIGHT_EYE, *LEFT_EYE, NOSE_BASE], :2]
            landmarks = tuple((float(x), float(y)) for x, y in points)
            found.append(Face(box=box, score=score, landmarks=landmarks, covered=True))
        return tuple(sorted(found, key=lambda face: face.box.area, reverse=True))

    def landmarks(self, image: Image, box: Box, *, score: float = 0.0) -> Face:
        """The five points of a face whose box is known (tracking needs no new detection)."""
        left, top = round(box.left), round(box.top)
        rectangle = dlib.rectangle(left, top, round(box.right), round(box.bottom))
        shape = self._points(np.ascontiguousarray(image), rectangle)
        points = tuple((float(p.x), float(p.y)) for p in shape.parts())
        return Face(box=box, score=score, landmarks=points)

    def warm(self) -> EmbeddingNetwork:
        """Load the embedding network, which happens at first use otherwise."""
        with self._embedding:
            if self._network is None:
                path = Path(_weights("dlib_face_recognition_resnet_model_v1.dat"))
                self._network = EmbeddingNetwork(path)
            return self._network

    def embed(self, image: Image, face: Face) -> Embedding:
        """Identity of ``face`` as ``[128]`` float64 (8 ms)."""
        box = face.box
        rectangle = dlib.rectangle(
            round(box.left), round(box.top), round(box.right), round(box.bottom)
        )
        points = dlib.points([dlib.point(round(x), round(y)) for x, y in face.landmarks])
        shape = dlib.full_object_detection(rectangle, points)
        chip = dlib.get_face_chip(np.ascontiguousarray(image), shape, SIDE, CHIP_PADDING)
        with self._embedding:
            return self.warm().embed(chip)


_idle: list[FaceReader] = []


@contextmanager
def lend_reader() -> Iterator[FaceReader]:
    """A reader for one caller at a time; kept for the next one, since making one takes 0.3 s."""
    try:
        reader = _idle.pop()
    except IndexError:
        reader = FaceReader()
    try:
        yield reader
    finally:
        _idle.append(reader)


def distance(one: Embedding, other: Embedding) -> float:
    """Euclidean distance of two embeddings; 0 for the same picture.

    Two photographs of one person are mostly at 0.5 or less, two people mostly at 0.7 or more.
    People who look alike are nearer: of 102 such pairs of the same sex and origin 46 were below
    0.68, so a distance below that proves nothing by itself.
    """
    return float(np.linalg.norm(one - other))
