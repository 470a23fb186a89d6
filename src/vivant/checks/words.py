"""The sentences of the checks, in English and Korean, by message key.

A sentence is filled from a score's ``facts``, so that a report can be shown in either
language. Knows nothing of how a number is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["en", "ko"]


def reason(facts: Mapping[str, float | str], language: Language = "en") -> str:
    """The sentence of ``facts["message"]`` in ``language``."""
    english, korean = SENTENCES[str(facts["message"])]
    return (korean if language == "ko" else english).format(**facts)


SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    # why something was not measured
    "no_face_in_picture": (
        "No face was found in the input picture, so there is nobody to compare with.",
        "입력 사진에서 얼굴을 찾지 못해 비교할 대상이 없습니다.",
    ),
    "no_face_in_clip": (
        "No face was found in any frame that was looked at.",
        "살펴본 어느 프레임에서도 얼굴을 찾지 못했습니다.",
    ),
    "not_made_here": (
        "The clip was not made in this run, so its time and cost are not known.",
        "이번 실행에서 만든 영상이 아니므로 걸린 시간과 비용을 알 수 없습니다.",
    ),
    "no_cost": (
        "No rate is known for the device the clip was made on.",
        "영상을 만든 장치의 요금을 알 수 없습니다.",
    ),
    # warnings
    "several_people": (
        "The picture shows {others:.0f} more people; the largest face was followed.",
        "사진에 다른 사람이 {others:.0f}명 더 있어 가장 큰 얼굴을 따라갔습니다.",
    ),
    "frames_differ": (
        "The file announces {announced:.0f} frames and {seen:.0f} could be decoded.",
        "파일에는 {announced:.0f}프레임이라고 되어 있으나 {seen:.0f}프레임만 읽혔습니다.",
    ),
    # fidelity
    "identity_mean.pass": (
        "The face is the person in the picture: mean similarity {value:.2f} (limit {limit:.2f}).",
        "사진 속 인물과 같은 사람입니다. 평균 유사도 {value:.2f} (기준 {limit:.2f}).",
    ),
    "identity_mean.warn": (
        "The face drifts from the picture: mean similarity {value:.2f} is below {limit:.2f}.",
        "얼굴이 사진과 조금 달라 보입니다. 평균 유사도 {value:.2f}, 주의 기준 {limit:.2f} 미만.",
    ),
    "identity_mean.fail": (
        "The face is not the person in the picture: mean similarity {value:.2f} "
        "is below {limit:.2f}.",
        "사진 속 인물과 다른 사람입니다. 평균 유사도 {value:.2f}, 기준 {limit:.2f} 미만.",
    ),
    "identity_min.pass": (
        "Even the worst frame ({frame:.0f}) is the same person: similarity {value:.2f} "
        "(limit {limit:.2f}).",
        "가장 낮은 {frame:.0f}번 프레임도 같은 사람입니다. 유사도 {value:.2f} (기준 {limit:.2f}).",
    ),
    "identity_min.warn": (
        "Frame {frame:.0f} is barely the same person: similarity {value:.2f} is below {limit:.2f}.",
        "{frame:.0f}번 프레임은 같은 사람으로 보기 아슬아슬합니다. 유사도 {value:.2f}, "
        "주의 기준 {limit:.2f} 미만.",
    ),
    "identity_min.fail": (
        "Frame {frame:.0f} shows somebody else: similarity {value:.2f} is below {limit:.2f}.",
        "{frame:.0f}번 프레임은 다른 사람입니다. 유사도 {value:.2f}, 기준 {limit:.2f} 미만.",
    ),
    "identity_first_last.pass": (
        "The same person at the start and at the end: similarity {value:.2f} between frames "
        "{first:.0f} and {last:.0f} (limit {limit:.2f}).",
        "처음과 끝이 같은 사람입니다. {first:.0f}번과 {last:.0f}번 프레임의 유사도 "
        "{value:.2f} (기준 {limit:.2f}).",
    ),
    "identity_first_last.warn": (
        "The face changes from start to end: similarity {value:.2f} between frames {first:.0f} "
        "and {last:.0f} is below {limit:.2f}.",
        "처음과 끝의 얼굴이 조금 다릅니다. {first:.0f}번과 {last:.0f}번 프레임의 유사도 "
        "{value:.2f}, 주의 기준 {limit:.2f} 미만.",
    ),
    "identity_first_last.fail": (
        "Frame {last:.0f} is not the person of frame {first:.0f}: similarity {value:.2f} "
        "is below {limit:.2f}.",
        "{last:.0f}번 프레임은 {first:.0f}번 프레임과 다른 사람입니다. 유사도 {value:.2f}, "
        "기준 {limit:.2f} 미만.",
    ),
    "identity_first_frame.pass": (
        "The finished first frame is the person in the picture: similarity {value:.2f} "
        "(limit {limit:.2f}).",
        "완성된 첫 프레임은 사진 속 인물입니다. 유사도 {value:.2f} (기준 {limit:.2f}).",
    ),
    "identity_first_frame.warn": (
        "The finished first frame is a little off: similarity {value:.2f} is below {limit:.2f}.",
        "완성된 첫 프레임이 조금 다릅니다. 유사도 {value:.2f}, 주의 기준 {limit:.2f} 미만.",
    ),
    "identity_first_frame.fail": (
        "The finished first frame is not the person in the picture: similarity {value:.2f} "
        "is below {limit:.2f}.",
        "완성된 첫 프레임부터 사진 속 인물이 아닙니다. 유사도 {value:.2f}, 기준 {limit:.2f} 미만.",
    ),
    "face_presence.pass": (
        "A face is there in {found:.0f} of {searched:.0f} frames looked at.",
        "살펴본 {searched:.0f}프레임 중 {found:.0f}프레임에 얼굴이 있습니다.",
    ),
    "face_presence.warn": (
        "No frontal face was found in some frames: {found:.0f} of {searched:.0f} have one "
        "(it may have turned away).",
        "얼굴이 보이지 않는 프레임이 있습니다. {searched:.0f}프레임 중 {found:.0f}프레임만 "
        "확인했습니다(고개를 돌렸을 수 있습니다).",
    ),
    "face_presence.fail": (
        "The face is lost: only {found:.0f} of {searched:.0f} frames looked at show one.",
        "얼굴이 사라졌습니다. 살펴본 {searched:.0f}프레임 중 {found:.0f}프레임에만 있습니다.",
    ),
    "frame_difference_max.pass": (
        "Largest mean pixel difference to the picture {value:.2f}: little motion "
        "(this measures motion, not identity).",
        "사진과의 평균 픽셀 차이 최댓값 {value:.2f}: 움직임이 작습니다"
        "(움직임을 재는 값이며 동일인 여부가 아닙니다).",
    ),
    "frame_difference_max.warn": (
        "Largest mean pixel difference to the picture {value:.2f}, above {limit:.1f}: much motion "
        "(this measures motion, not identity).",
        "사진과의 평균 픽셀 차이 최댓값 {value:.2f}, {limit:.1f} 초과: 움직임이 큽니다"
        "(움직임을 재는 값이며 동일인 여부가 아닙니다).",
    ),
    "frame_difference_mean.pass": (
        "Average pixel difference to the picture {value:.2f} (this measures motion, not identity).",
        "사진과의 평균 픽셀 차이 {value:.2f}(움직임을 재는 값이며 동일인 여부가 아닙니다).",
    ),
    "frame_difference_mean.warn": (
        "Average pixel difference to the picture {value:.2f}, above {limit:.1f}: much motion "
        "(this measures motion, not identity).",
        "사진과의 평균 픽셀 차이 {value:.2f}, {limit:.1f} 초과: 움직임이 큽니다"
        "(움직임을 재는 값이며 동일인 여부가 아닙니다).",
    ),
    # quality
    "motion.pass": (
        "The picture moves: up to {value:.2f} % of its height (limit {limit:.2f} %).",
        "영상이 움직입니다. 높이의 최대 {value:.2f}% (기준 {limit:.2f}%).",
    ),
    "motion.fail": (
        "The clip is a frozen picture: it moves by {value:.3f} % of its height at most "
        "(limit {limit:.2f} %).",
        "정지 화면입니다. 움직임이 높이의 {value:.3f}%에 그칩니다 (기준 {limit:.2f}%).",
    ),
    # delivery
    "size.pass": ("The size is {value}.", "해상도는 {value}입니다."),
    "size.asked": ("The size is {value}, not {limit}.", "해상도가 {limit}이 아니라 {value}입니다."),
    "size.advice": (
        "The size is {value}; YouTube's full HD is {limit}.",
        "해상도가 {value}입니다. 유튜브 풀HD는 {limit}입니다.",
    ),
    "fps.pass": ("{value} frames per second.", "초당 {value} 프레임."),
    "fps.asked": (
        "{value} frames per second, not {limit}.",
        "초당 {limit}이 아니라 {value}입니다.",
    ),
    "fps.advice": (
        "{value} frames per second; the target is {limit}.",
        "초당 {value}입니다. 목표는 {limit}입니다.",
    ),
    "num_frames.pass": ("{value:.0f} frames.", "{value:.0f}프레임."),
    "num_frames.asked": (
        "{value:.0f} frames, not {limit:.0f}.",
        "{limit:.0f}프레임이 아니라 {value:.0f}프레임입니다.",
    ),
    "num_frames.advice": (
        "{value:.0f} frames; the target is {limit:.0f}.",
        "{value:.0f}프레임입니다. 목표는 {limit:.0f}프레임입니다.",
    ),
    "codec.pass": ("The codec is {value}.", "코덱은 {value}입니다."),
    "codec.asked": ("The codec is {value}, not {limit}.", "코덱이 {limit}이 아니라 {value}입니다."),
    "codec.advice": (
        "The codec is {value}; YouTube recommends {limit}.",
        "코덱이 {value}입니다. 유튜브는 {limit}을 권장합니다.",
    ),
    "pixel_format.pass": ("The pixel format is {value}.", "픽셀 형식은 {value}입니다."),
    "pixel_format.asked": (
        "The pixel format is {value}, not {limit}.",
        "픽셀 형식이 {limit}이 아니라 {value}입니다.",
    ),
    "pixel_format.advice": (
        "The pixel format is {value}; every player reads {limit}.",
        "픽셀 형식이 {value}입니다. 모든 재생기가 읽는 것은 {limit}입니다.",
    ),
    "color_tags.pass": ("Colours are tagged {value}.", "색 정보가 {value}로 표시되어 있습니다."),
    "color_tags.asked": (
        "Colours are tagged {value}, not {limit}.",
        "색 정보가 {limit}이 아니라 {value}입니다.",
    ),
    "color_tags.advice": (
        "Colours are tagged {value}; players may guess, {limit} is safe.",
        "색 정보가 {value}입니다. 재생기마다 달라 보일 수 있으니 {limit}이 안전합니다.",
    ),
    "faststart.pass": (
        "The index stands first: playback starts before the download ends.",
        "색인이 앞에 있어 다 받기 전에 재생됩니다.",
    ),
    "faststart.asked": (
        "The index stands last: playback waits for the whole file.",
        "색인이 뒤에 있어 다 받아야 재생됩니다.",
    ),
    "faststart.advice": (
        "The index stands last or is not that of an MP4: playback may wait for the whole file.",
        "색인이 뒤에 있거나 MP4가 아니어서 다 받아야 재생될 수 있습니다.",
    ),
    "edit_list.pass": ("There is no edit list.", "편집 목록이 없습니다."),
    "edit_list.asked": (
        "An edit list makes players skip or delay something.",
        "편집 목록 때문에 재생기가 일부를 건너뛰거나 늦출 수 있습니다.",
    ),
    "edit_list.advice": (
        "An edit list makes players skip or delay something; YouTube asks for none.",
        "편집 목록 때문에 재생기가 일부를 건너뛰거나 늦출 수 있습니다. 유튜브는 없기를 권합니다.",
    ),
    "gop.pass": ("Key frames at most {value} GOP.", "키프레임 간격 {value} GOP."),
    "gop.asked": (
        "Key frames {value} GOP: {limit} is asked for.",
        "키프레임 간격 {value} GOP입니다. {limit}이 요구됩니다.",
    ),
    "gop.advice": (
        "Key frames {value} GOP: {limit} seeks and edits better.",
        "키프레임 간격 {value} GOP입니다. {limit}이 탐색과 편집에 좋습니다.",
    ),
    "bit_rate.pass": (
        "{value:.2f} Mbit/s; YouTube suggests about {advised:.1f} for camera footage of this size.",
        "{value:.2f} Mbit/s. 이 크기의 촬영 영상에 유튜브가 권하는 값은 약 {advised:.1f}입니다.",
    ),
    "bit_rate.warn": (
        "{value:.2f} Mbit/s is little: below {limit:.2f} YouTube's own encoding shows.",
        "{value:.2f} Mbit/s는 낮습니다. {limit:.2f} 미만이면 "
        "유튜브 재인코딩에서 화질이 나빠집니다.",
    ),
    # performance
    "seconds.pass": (
        "Made in {value:.1f} s (target {limit:.0f} s).",
        "{value:.1f}초 만에 만들었습니다(목표 {limit:.0f}초).",
    ),
    "seconds.warn": (
        "Made in {value:.1f} s, over the target of {limit:.0f} s.",
        "만드는 데 {value:.1f}초로 목표 {limit:.0f}초를 넘었습니다.",
    ),
    "cost.pass": (
        "It cost {value:.4g} {currency} (target {limit:.4g}).",
        "비용 {value:.4g} {currency}(목표 {limit:.4g}).",
    ),
    "cost.free": ("It cost {value:.4g} {currency}.", "비용 {value:.4g} {currency}."),
    "cost.warn": (
        "It cost {value:.4g} {currency}, over the target of {limit:.4g}.",
        "비용 {value:.4g} {currency}로 목표 {limit:.4g}를 넘었습니다.",
    ),
}
