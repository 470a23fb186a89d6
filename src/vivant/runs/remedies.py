"""What helps against which failed check, by engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from vivant.types import Request

IDENTITY = (
    "identity_mean",
    "identity_min",
    "identity_first_last",
    "identity_first_frame",
    "identity_drift",
    "identity_jump",
    "face_presence",
)
SHAPE = (
    "face_deformation", "face_stretch", "face_wobble", "face_jitter", "global_jelly",
    "mouth_detail", "mouth_shape", "eye_gaze", "eyelids", "iris_color",
    "nose_shape", "jaw_shape", "brow_shape", "eye_shape", "face_warp", "face_shift",
    "hair_shape",
    "background_swim", "background_change",
)  # fmt: skip
TEXTURE = ("plastic_skin", "cartoon", "skin_texture_end", "skin_brightness")
STANDSTILL = ("motion", "freeze", "repeated_frames")
SHARPNESS = ("sharpness", "face_sharpness", "detail", "sharpness_end", "resolution")

Change: TypeAlias = tuple[str, str, dict[str, Any]]
"""Code, words, options."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A changed request, and what was changed: for programs, and in plain words."""

    code: str
    words: str
    request: Request


def remedies(request: Request, failed: tuple[str, ...]) -> list[Remedy]:
    """What could help against ``failed``, best first; empty where nothing can.

    Another seed is always last: it costs the same and promises the least.
    """
    curable = [name for name in failed if _curable(name)]
    if not curable:
        return []
    changes = CHANGES.get(request.engine, _no_changes)
    found = [
        Remedy(code, words, replace(request, options={**request.options, **options}))
        for code, words, options in changes(dict(request.options), frozenset(curable))
    ]
    return [*found, Remedy("seed", "another seed", replace(request, seed=request.seed + 1))]


def _curable(name: str) -> bool:
    """Whether another clip could do better: sizes, codecs, times and prices stay what they are."""
    return name not in {
        "size", "fps", "num_frames", "codec", "pixel_format", "color_tags", "faststart",
        "edit_list", "gop", "bit_rate", "seconds", "cost",
    }  # fmt: skip


def _generative(options: dict[str, Any], failed: frozenset[str]) -> list[Change]:
    """Changes of LTX-2's options, the person first."""
    found: list[Change] = []

    def number(name: str, default: float) -> float:
        try:
            return float(options.get(name, default))
        except (TypeError, ValueError):
            return default

    if failed & {*IDENTITY}:
        if number("image_strength", 1.0) < 1.0:
            found.append(
                ("pinned", "the first frame pinned to the picture", {"image_strength": 1.0})
            )
        # strengths of a keyframe that anchors without freezing: about .5 to .8
        found += [
            (
                "end_anchor",
                f"the picture as last frame, strength {anchor:g}",
                {"end_anchor": anchor},
            )
            for anchor in (0.5, 0.8)
            if number("end_anchor", 0.0) < anchor
        ]
    if failed & {*STANDSTILL}:
        if number("end_anchor", 0.0) > 0.5:
            found.append(("weaker_end_anchor", "a weaker end anchor", {"end_anchor": 0.5}))
        speed = number("motion_speed", 1.0)
        if speed < 2:
            found.append(("more_motion", "more motion", {"motion_speed": round(speed * 1.5, 3)}))
    # before NAG: a soft clip fails the texture checks as well
    if failed & {*SHARPNESS} and number("image_crf", 33) > 18:
        found.append(("less_compressed", "the picture shown less compressed", {"image_crf": 18}))
    if failed & {*TEXTURE, *SHAPE} and not options.get("nag", "nag_scale" in options):
        found.append(("nag", "the negative prompt by NAG", {"nag": True}))
    if failed & {*TEXTURE} and number("nag_scale", 5.0) < 11 and options.get("nag"):
        # 11 is the setting of KJNodes for LTX-2, 5 the NAG authors' own
        found.append(("stronger_nag", "a stronger negative prompt", {"nag_scale": 11.0}))
    return found


def _camera(options: dict[str, Any], failed: frozenset[str]) -> list[Change]:
    """Changes of the camera engine's options."""
    found: list[Change] = []
    strength = float(options.get("strength", 1.0))
    if failed & {*STANDSTILL} and strength < 2:
        found.append(
            ("longer_way", "a longer way for the camera", {"strength": min(2.0, strength * 1.6)})
        )
    if failed & {*SHARPNESS} and float(options.get("scale", 1.0)) < 1:
        found.append(("full_size", "drawn at full size", {"scale": 1.0}))
    if failed & {*SHARPNESS, *IDENTITY, "motion_speed"} and strength > 0.4:
        found.append(
            ("shorter_way", "a shorter way for the camera", {"strength": max(0.25, strength * 0.6)})
        )
    if failed & {*SHAPE, *IDENTITY, "seams", "torn_layers", "edge_rim"} and options.get(
        "parallax", 0.012
    ):
        found.append(("no_parallax", "no parallax", {"parallax": 0.0}))
    return found


def _living(options: dict[str, Any], failed: frozenset[str]) -> list[Change]:
    """Changes of the living engine's options."""
    found: list[Change] = []
    strength = float(options.get("strength", 1.0))
    if "motion" in failed and strength < 2:
        found.append(("more_motion", "more motion", {"strength": min(2.0, strength * 1.6)}))
    if failed & {*SHARPNESS} and float(options.get("scale", 1.0)) < 1:
        found.append(("full_size", "drawn at full size", {"scale": 1.0}))
    calmer = {*SHARPNESS, *IDENTITY, *SHAPE, "motion_speed", "seams", "torn_layers", "edge_rim"}
    if failed & calmer and strength > 0.3:
        found.append(("less_motion", "less motion", {"strength": round(strength * 0.5, 3)}))
    return found


def _no_changes(_: dict[str, Any], __: frozenset[str]) -> list[Change]:
    """For engines whose options are not known here."""
    return []


CHANGES = {"living": _living, "camera": _camera, "ltx2": _generative, "fake": _generative}
"""Engine → what of its options could be changed, by its options and the failed checks."""
