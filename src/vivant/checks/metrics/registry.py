"""All metrics, in the order of the checklist."""

from __future__ import annotations

from collections.abc import Sequence

from vivant.checks.frame import Reference
from vivant.checks.metric import Metric
from vivant.checks.metrics.background import Background
from vivant.checks.metrics.boomerang import Boomerang
from vivant.checks.metrics.color import Color
from vivant.checks.metrics.deform import Deformation
from vivant.checks.metrics.exposure import Exposure
from vivant.checks.metrics.face_parts import FaceParts
from vivant.checks.metrics.face_shape import FaceShape
from vivant.checks.metrics.ghost import Ghost
from vivant.checks.metrics.grid_lines import GridLines
from vivant.checks.metrics.hair_shape import HairShape
from vivant.checks.metrics.identity import FacePresence, Identity
from vivant.checks.metrics.lattice import Lattice
from vivant.checks.metrics.motion import FrameDifference
from vivant.checks.metrics.mouth_shape import MouthShape
from vivant.checks.metrics.resolution import Resolution
from vivant.checks.metrics.rim import Rim
from vivant.checks.metrics.seams import Seams
from vivant.checks.metrics.skin import Skin
from vivant.checks.metrics.steadiness import Steadiness
from vivant.checks.metrics.texture import Texture
from vivant.checks.metrics.timing import Cadence
from vivant.checks.metrics.torn_layers import TornLayers
from vivant.checks.metrics.trail import Trail


def all_metrics(reference: Reference, fps: float) -> Sequence[Metric]:
    """Every check, in the order of the checklist."""
    resolution = Resolution(reference)
    return (
        Identity(reference),
        FacePresence(),
        Deformation(fps),
        FaceParts(reference),
        FaceShape(reference),
        HairShape(reference),
        MouthShape(reference),
        FrameDifference(reference),
        Steadiness(fps),
        Cadence(fps),
        Boomerang(),
        Exposure(fps),
        Texture(reference, resolution.kept),
        Skin(reference),
        Seams(reference),
        Lattice(reference),
        GridLines(reference),
        Background(reference),
        TornLayers(reference),
        Rim(reference),
        Ghost(reference),
        Trail(reference),
        resolution,
        Color(reference),
    )
