"""Is the clip's sound whole, heard and not distorted: measured from the finished file."""

from __future__ import annotations

from typing import Final

from vivant.checks.metric import CannotMeasure, Spec, score, unmeasured
from vivant.types import ClipFacts, Score, Verdict

SOUND: Final = Spec("sound", "delivery", "LUFS")

MAX_PEAK: Final = 0.0
"""dBTP; players cut off what is above it, which is heard as a crackle."""

SILENT_PEAK: Final = -60.0
"""dBTP; nobody hears a clip that stays below it."""


def sound_score(facts: ClipFacts, *, asked: bool) -> Score:
    """Loudness; with what is wrong, the most serious first.

    Start and end may differ from the picture's by one frame.

    Args:
        facts: of the finished file.
        asked: the clip was made here: an offset fails. Somebody else's only warns.
    """
    sound = facts.sound
    if sound is None:
        return unmeasured(SOUND, CannotMeasure("no_sound"))
    frame = 1 / float(facts.fps)
    after = sound.start + sound.seconds - facts.seconds
    verdict: Verdict = "warn"
    if sound.broken:
        wrong = "broken"
    elif abs(sound.start) > frame or (asked and abs(after) > frame):
        wrong, verdict = "offset", "fail" if asked else "warn"
    elif sound.true_peak is None or sound.loudness is None or sound.true_peak < SILENT_PEAK:
        wrong = "silent"
    elif sound.true_peak > MAX_PEAK:
        wrong = "clipped"
    elif abs(after) > frame:
        wrong = "length"
    else:
        wrong, verdict = "pass", "pass"
    return score(
        SOUND,
        sound.loudness,
        verdict,
        message=f"sound.{wrong}",
        facts={
            "peak": -100.0 if sound.true_peak is None else sound.true_peak,
            "lasts": sound.seconds,
            "picture": facts.seconds,
            "start": 1000 * sound.start,
        },
    )
