"""The fields of a request for one clip, as users write them → a :class:`vivant.types.Request`.

Command line, CSV rows and HTTP API (forms and JSON) read the same models, so that a value is
understood, or refused with the same sentence, wherever it comes from. A subclass renames fields
and adds its own; what an engine's ``options`` may be is checked by that engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from vivant.crop_area import (
    ROTATIONS,
    CropArea,
    FocusPoint,
    Rotation,
    parse_crop,
    parse_focus,
)
from vivant.errors import OptionError
from vivant.field_errors import quoted, what_is_wrong
from vivant.grid import (
    ASPECTS,
    MAX_SIDE,
    MIN_SIDE,
    check_fps,
    check_frames,
    check_last,
    check_seed,
    check_size,
    check_sound,
    frames_for,
    parse_size,
)
from vivant.provenance.label_text import check_text
from vivant.settings import Settings
from vivant.types import (
    DEFAULT_ENGINE,
    DEFAULT_NEGATIVE_PROMPT,
    DEFAULT_PROMPT,
    Quality,
    Request,
)

DEFAULT_FRAMES = 97
"""4 s at 24 fps."""

MAX_SEED = 2**63 - 1

FRACTIONAL_RATES = {
    "23.976": Fraction(24000, 1001),
    "23.98": Fraction(24000, 1001),
    "29.97": Fraction(30000, 1001),
    "59.94": Fraction(60000, 1001),
}
"""NTSC rates as people write them."""

MAX_DIGITS = 40
"""Characters of a number given as text."""


def _wrong(sentence: str) -> PydanticCustomError:
    """What is wrong with a field, to be said after its name."""
    return PydanticCustomError("field", "{sentence}", {"sentence": sentence})


def plain_text(text: str) -> str:
    """Refuse NUL and lone surrogates, which neither databases nor UTF-8 can hold."""
    if "\0" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise _wrong("contains characters that are no text")
    return text


def whole_number(value: object) -> object:
    """``7``, ``"7"`` and ``7.0`` → 7."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", value, re.ASCII):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(_not_whole(value))
    if abs(value) > MAX_SEED:
        raise _wrong(f"{quoted(value)} is too large: at most {MAX_SEED}")
    return value


def _not_whole(value: object) -> str:
    digits = isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value, re.ASCII)
    if digits:
        return f"{quoted(value)} is too large: at most {MAX_SEED}"
    return f"{quoted(value)} is not a whole number"


def number(value: object) -> float:
    """``4``, ``"4"`` and ``"4.5"`` → a float; infinite and NaN are left to the caller."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS:
        try:
            return float(value)
        except ValueError:
            pass
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _wrong(f"{quoted(value)} is too large") from None
    raise _wrong(f"{quoted(value)} is not a number")


def frame_rate(value: object) -> Fraction:
    """``24``, ``"29.97"``, ``"30000/1001"`` → frames per second.

    Raises:
        OptionError: outside 1 … 120.
    """
    if isinstance(value, str) and value in FRACTIONAL_RATES:
        return FRACTIONAL_RATES[value]
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,7}/[1-9][0-9]{0,4}", value, re.ASCII):
        rate = Fraction(value)
    else:
        try:
            rate = Fraction(number(value))
        except (PydanticCustomError, ValueError, OverflowError):
            raise _wrong(
                f"{quoted(value)} is not a number: write 24, 29.97 or 30000/1001"
            ) from None
    rate = rate.limit_denominator(1001)
    check_fps(rate)
    return rate


def _check_seconds(seconds: float) -> float:
    if not 0 < seconds < 86_400:
        raise OptionError(f"{seconds:g} seconds is not a length: 4 is usual", param="seconds")
    return seconds


def _size_text(value: object) -> object:
    if not isinstance(value, str) or len(value) > 20:
        raise _wrong('is not text like "1920x1080"')
    return value


def _seed(seed: int) -> int:
    check_seed(seed)
    return seed


def _object(value: object) -> object:
    if not isinstance(value, Mapping):
        raise _wrong('is not an object like {"move": "orbit"}')
    return value


def _crop(value: object) -> CropArea | None:
    if value is None or isinstance(value, CropArea):
        return value
    if not isinstance(value, str):
        raise _wrong('is not text like "100,50,800,600" or "10%,5%,80%,60%"')
    return parse_crop(value)


def _focus(value: object) -> FocusPoint | None:
    if value is None or isinstance(value, FocusPoint):
        return value
    if not isinstance(value, str):
        raise _wrong('is not text like "640,300" or "50%,30%"')
    return parse_focus(value)


def _rotation(value: object) -> object:
    degrees = whole_number(value)
    if degrees not in ROTATIONS:
        raise _wrong(f"{quoted(value)} is not 0, 90, 180 or 270 degrees clockwise")
    return degrees


def _range(low: int, high: int | None = None) -> dict[str, Any]:
    """For the JSON schema of a number whose range is checked with a sentence of its own."""
    return {"minimum": low} if high is None else {"minimum": low, "maximum": high}


def _sound(value: object) -> bool | Path:
    """``on``, ``off`` or a file's path."""
    if isinstance(value, (bool, Path)):
        return value
    text = str(value).strip()
    if text.lower() in ("", "on", "off"):
        return text.lower() == "on"
    return Path(plain_text(text))


Text = Annotated[str, AfterValidator(plain_text)]
WholeNumber = Annotated[int, BeforeValidator(whole_number)]
Number = Annotated[
    float,
    BeforeValidator(number),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]
FrameRate = Annotated[
    Fraction,
    PlainValidator(frame_rate),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]
Side = Annotated[WholeNumber, Field(json_schema_extra=_range(MIN_SIDE, MAX_SIDE))]


_AREA_TEXT = WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 80}, {"type": "null"}]})
Crop = Annotated[CropArea | None, PlainValidator(_crop), _AREA_TEXT]
Focus = Annotated[FocusPoint | None, PlainValidator(_focus), _AREA_TEXT]
NumFrames = Annotated[WholeNumber, Field(json_schema_extra=_range(1), examples=[DEFAULT_FRAMES])]
Size = Annotated[str, BeforeValidator(_size_text), Field(examples=["1920x1080"])]


class RequestFields(BaseModel):
    """Fields that users write. Errors are ``OptionError`` with the field's name as ``param``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    unknown: ClassVar[str] = "field {name!r} is unknown"
    """What is said of a field that does not exist."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Check the values of a form, a JSON object, a row or a command line.

        Raises:
            OptionError: naming the field, its value and the remedy.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise option_error(error, cls.unknown) from None


class ClipFields(RequestFields):
    """What one clip should be. A field that is not given has its default."""

    prompt: Text = DEFAULT_PROMPT
    """What should happen."""
    negative_prompt: Text = DEFAULT_NEGATIVE_PROMPT
    """What must not happen."""
    engine: Text = DEFAULT_ENGINE
    """What makes the clip."""
    seconds: Annotated[Number, AfterValidator(_check_seconds)] | None = Field(None, examples=["4"])
    """Length, instead of num_frames: 4 s at 24 fps are 97 frames."""
    num_frames: NumFrames | None = None
    """Length in frames."""
    fps: Annotated[FrameRate, Field(examples=["24"])] = Fraction(24)
    """Frames per second, 1 to 120: 24, 29.97, 30000/1001."""
    aspect: Literal["16:9", "9:16", "1:1"] | None = None
    """16:9 (YouTube), 9:16 (Shorts) or 1:1, at its default size."""
    size: Size | None = None
    """Exact size."""
    width: Side | None = None
    """Exact width in pixels, together with height."""
    height: Side | None = None
    """Exact height in pixels, together with width."""
    seed: Annotated[
        WholeNumber,
        AfterValidator(_seed),
        Field(json_schema_extra=_range(0, MAX_SEED), examples=[7]),
    ] = 0
    """The same seed gives the same frames."""
    upscaler: Annotated[Text, Field(examples=["auto"])] = "auto"
    """Used where the engine's frames are smaller than the clip."""
    quality: Quality = "standard"
    """How many bits the encoder spends."""
    label: Annotated[Text, Field(examples=["ko"])] = ""
    """A small text in the clip: ko, en, or a text of your own."""
    label_seconds: Annotated[Number, AfterValidator(_check_seconds)] | None = None
    """The label is shown for the first seconds only."""
    sound: bool = False
    """The engine's own sound; false: the clip is silent."""
    options: Annotated[dict[str, Any], BeforeValidator(_object)] = Field({}, examples=[{}])
    """What only the engine understands."""
    crop: Crop = Field(None, examples=["10%,5%,80%,80%"])
    """The part of the upright picture to show, as x,y,width,height in pixels or percent."""
    focus: Focus = Field(None, examples=["50%,30%"])
    """Instead of crop: the point, as x,y, that the largest crop has in its middle."""
    rotate: Annotated[Rotation, BeforeValidator(_rotation)] = 0
    """Degrees clockwise by which the picture is turned first; crop and focus count after it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Fields that contradict each other."""
        name, sides = self._name, {"width": self.width, "height": self.height}
        given = [side for side, value in sides.items() if value is not None]
        if self.num_frames is not None and self.seconds is not None:
            raise OptionError(
                f"give {name('num_frames')} or seconds, not both", param=name("num_frames")
            )
        if self.size is not None and given:
            raise OptionError("give size, or width and height, not both", param="size")
        if len(given) == 1:
            raise OptionError("give width and height, or neither", param=given[0])
        if self.crop is not None and self.focus is not None:
            raise OptionError("give crop or focus, not both", param="focus")
        check_size(*self.dimensions)
        return self

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height in pixels.

        Raises:
            OptionError: a size that contradicts the aspect.
        """
        if self.width is not None and self.height is not None:
            size = self.width, self.height
        elif self.size is not None:
            size = parse_size(self.size)
        else:
            return ASPECTS[self.aspect or "16:9"]
        if self.aspect is not None:
            across, down = (int(part) for part in self.aspect.split(":"))
            if size[0] * down != size[1] * across:
                raise OptionError(
                    f"size {size[0]}x{size[1]} is not {self.aspect}: give only one of them",
                    param="size",
                )
        return size

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        if self.seconds is not None:
            return frames_for(self.seconds, self.fps)
        return DEFAULT_FRAMES if self.num_frames is None else self.num_frames

    def to_request(self, image: Path | bytes, settings: Settings) -> Request:
        """The request for a picture.

        Raises:
            OptionError: more frames than the settings allow.
        """
        width, height = self.dimensions
        check_frames(self.frame_count, settings.max_frames)
        check_text(self.label, font=settings.label_font is not None)
        request = Request(
            image=image,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            num_frames=self.frame_count,
            fps=self.fps,
            width=width,
            height=height,
            seed=self.seed,
            engine=self.engine,
            upscaler=self.upscaler,
            quality=self.quality,
            label=self.label,
            label_seconds=self.label_seconds,
            sound=self.sound,
            options=self.options,
            crop=self.crop,
            focus=self.focus,
            rotate=self.rotate,
        )
        check_sound(request, self._name("sound"))
        return request

    @classmethod
    def _name(cls, field: str) -> str:
        """What users call a field."""
        return cls.model_fields[field].alias or field


class CommandFields(ClipFields):
    """As the command line and the columns of a CSV call them."""

    negative_prompt: Text = Field(DEFAULT_NEGATIVE_PROMPT, alias="negative")
    num_frames: WholeNumber | None = Field(None, alias="frames")
    sound: Annotated[bool | Path, PlainValidator(_sound)] = False  # type: ignore[assignment]
    last: Path | None = None

    def to_request(self, image: Path | bytes, settings: Settings) -> Request:
        """See :meth:`ClipFields.to_request`.

        Raises:
            OptionError: also where the engine takes no picture for the last frame.
        """
        request = replace(super().to_request(image, settings), last=self.last)
        check_last(request)
        return request


def option_error(error: ValidationError, unknown: str) -> OptionError:
    """The first thing that is wrong, as a sentence; fields that do not exist come first.

    Args:
        error: of a model of this module.
        unknown: the sentence about a field that does not exist, with ``{name}``.
    """
    found = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    name = str(found["loc"][0])[:40]
    if found["type"] == "extra_forbidden":
        return OptionError(unknown.format(name=name), code="unknown_field", param=name)
    return OptionError(f"{name} {what_is_wrong(found)}", param=name)
