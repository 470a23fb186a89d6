"""Why a picture or a clip is left out of a comparison, in English and Korean."""

from __future__ import annotations

import re

from vivant.checks.checklist import Words
from vivant.compare.clips import Failure
from vivant.known_sentences import in_korean

KOREAN: tuple[tuple[str, str], ...] = (
    (r"cannot be read: (.+)", "파일을 읽을 수 없습니다 ({0})."),
    (r"is the same picture as (.+)", "{0} 사진과 같은 사진입니다."),
    (r"the clip was deleted", "영상이 삭제되었습니다."),
    (r"its report is not there any more", "영상의 보고서가 더 이상 없습니다."),
    (r"cancelled.*", "만들기를 취소했습니다."),
)
"""English reason, as a pattern for the whole text → Korean sentence."""

PICTURE_UNUSABLE = "이 사진은 쓸 수 없습니다. 자세한 내용: {0}"
CLIP_NOT_MADE = "이 영상은 만들지 못했습니다. 자세한 내용: {0}"
"""For every other reason; it is quoted in English."""


def failure_reason(failure: Failure) -> Words:
    """The reason of a failure in both languages."""
    for pattern, korean in KOREAN:
        match = re.fullmatch(pattern, failure.reason)
        if match:
            return {"en": failure.reason, "ko": korean.format(*match.groups())}
    known = in_korean(failure.reason)
    if known != failure.reason:
        return {"en": failure.reason, "ko": known}
    other = CLIP_NOT_MADE if failure.variant else PICTURE_UNUSABLE
    return {"en": failure.reason, "ko": other.format(failure.reason)}
