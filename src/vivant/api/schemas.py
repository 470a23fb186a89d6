"""The fields of the API's requests.

A new field that describes a clip is added to :class:`vivant.request_fields.ClipFields`, one that
only the service needs to :class:`VideoFields`: forms, JSON, errors and the OpenAPI document follow
from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from vivant.cost import bill
from vivant.errors import InputError, OptionError
from vivant.request_fields import (
    MAX_SEED,
    ClipFields,
    Number,
    NumFrames,
    RequestFields,
    Size,
    Text,
    plain_text,
)
from vivant.service.public_address import host_of
from vivant.settings import Settings
from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Quality, Request

MAX_PICTURES = 20
"""Of one comparison."""

MAX_PROMPT = 2_000
MAX_OPTIONS = 50
"""Entries of ``options``, and of each object in it."""

MAX_LIST = 200
"""Entries of a list in ``options``."""

MAX_DEPTH = 4
"""Levels of lists and objects in ``options``."""

QUALITIES: tuple[Quality, ...] = get_args(Quality)

BATCH_PATTERN = "^[A-Za-z0-9_-]{1,64}$"

IDEMPOTENCY_PATTERN = "^[!-~][ -~]{0,199}$"

OPTION_OF: Mapping[str, str] = {
    "recipe": "recipe",
    "num_inference_steps": "steps",
    "lora": "loras",
}
"""Field of the API → option of the engine."""

_FORM_NAME = re.compile(r"(options|lora)\[([A-Za-z0-9_]{1,60})\]")
_PATH = re.compile(r"^[/~.\\]|\.\.|\\|://|^[A-Za-z]:")


def _batch(value: object) -> object:
    if not (isinstance(value, str) and re.fullmatch(BATCH_PATTERN, value)):
        raise OptionError(
            "batch is not 1…64 letters, digits, '-' and '_': any name of your own will do",
            param="batch",
        )
    return value


def _no_guidance(value: float) -> float:
    if value != 1:
        raise OptionError(
            "guidance_scale other than 1 has no effect on distilled models: guide with the "
            "negative prompt and options.nag_scale instead",
            param="guidance_scale",
        )
    return value


def _true_or_false(name: str, value: object) -> bool:
    if value not in (True, False, "true", "false"):
        raise OptionError(f"{name} is neither true nor false", param=name)
    return value in (True, "true")


def _until_pass(value: object) -> object:
    return _true_or_false("until_pass", value)


def _sound(value: object) -> object:
    return _true_or_false("generate_audio", value)


def _upper(text: str) -> str:
    return text.upper()


Prompt = Annotated[str, Field(max_length=MAX_PROMPT), AfterValidator(plain_text)]
Name = Annotated[str, Field(max_length=100), AfterValidator(plain_text)]
AnyInteger = Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 1})]
Priority = Literal["high", "normal", "low"]
Currency = Annotated[
    str,
    Field(max_length=8, examples=["KRW"]),
    AfterValidator(plain_text),
    AfterValidator(_upper),
]


def _check_webhook(url: str, settings: Settings) -> None:
    """Refuse a webhook that is not allowed; its address is looked up when it is sent."""
    if not settings.webhooks:
        raise OptionError(
            "this service sends no webhooks: leave webhook_url out, or poll the job",
            code="webhooks_off",
            param="webhook_url",
        )
    try:
        host_of(url)
    except InputError as error:
        raise OptionError(f"webhook_url: {error.message}", param="webhook_url") from None


class VideoFields(ClipFields):
    """What ``POST /v1/videos`` takes besides the picture."""

    unknown: ClassVar[str] = (
        "field {name!r} is unknown: /docs lists them, and options of an engine go into options"
    )

    prompt: Prompt = Field(DEFAULT_PROMPT, examples=[DEFAULT_PROMPT])
    negative_prompt: Prompt = DEFAULT_NEGATIVE_PROMPT
    engine: Name = Field("", alias="model", examples=["camera"])
    """One of /v1/models; the server's default where it is not given."""
    upscaler: Name = Field("auto", examples=["auto"])
    sound: Annotated[bool, BeforeValidator(_sound)] = Field(False, alias="generate_audio")
    """The engine's own sound, where /v1/models says that it has one; off: the clip is silent."""
    recipe: Annotated[Any, WithJsonSchema({"type": "string"})] = None
    """The engine's option of that name."""
    num_inference_steps: AnyInteger = None
    """The engine's option steps, as other APIs call it."""
    lora: Any = None
    """The engine's option loras, as other APIs call it: a name, {"name", "scale"} or a list."""
    guidance_scale: Annotated[Number, AfterValidator(_no_guidance)] | None = Field(
        None, examples=[1.0]
    )
    """Only 1 is possible: the models are distilled."""
    currency: Currency | None = None
    """Of the bill; the server's default where it is not given."""
    priority: Priority = "normal"
    """Which of this key's clips go first."""
    until_pass: Annotated[bool, BeforeValidator(_until_pass)] = False
    """Try again with what helps until no check fails, within the budget."""
    budget: Annotated[str, Field(max_length=40, examples=["120s"])] | None = None
    """For all attempts of until_pass: 120s, ₩100, $0.10."""
    batch: (
        Annotated[
            str,
            BeforeValidator(_batch),
            Field(json_schema_extra={"maxLength": 64, "pattern": BATCH_PATTERN}),
        ]
        | None
    ) = None
    """A name of your own for clips that belong together, see /v1/batches."""
    webhook_url: Annotated[str, AfterValidator(plain_text), Field(max_length=2_000)] | None = Field(
        None, examples=["https://studio.example/vivant"]
    )
    """Is told when the job is over, where the operator allows it."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """See :meth:`vivant.request_fields.ClipFields.read`; ``options[move]`` of forms too."""
        return super().read(unflatten(values))

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.budget is not None and not self.until_pass:
            raise OptionError("budget is for until_pass: give both", param="budget")
        for name, option in OPTION_OF.items():
            if getattr(self, name) is not None and option in self.options:
                raise OptionError(f"{name} is given twice", param=name)
        options = self.engine_options
        if len(options) > MAX_OPTIONS:
            raise OptionError(f"more than {MAX_OPTIONS} options", param="options")
        check_value(options, "options", 0)
        return self

    @property
    def engine_options(self) -> dict[str, Any]:
        """``options``, with the fields that stand for options of the engine."""
        named = {option: getattr(self, name) for name, option in OPTION_OF.items()}
        if isinstance(self.lora, Mapping) and ("name" in self.lora or "path" in self.lora):
            source = self.lora.get("path") or self.lora.get("name")
            named["loras"] = [{"source": source, "scale": self.lora.get("scale", 1.0)}]
        return self.options | {name: value for name, value in named.items() if value is not None}

    def to_request(self, image: Any, settings: Settings) -> Request:
        """See :meth:`vivant.request_fields.ClipFields.to_request`.

        Raises:
            OptionError: what the settings do not allow: engine, length, currency or budget.
        """
        engine = self.engine or settings.default_engine
        if engine not in settings.engines:
            raise OptionError(
                f"model {engine[:40]!r} is unknown: choose one of {', '.join(settings.engines)}",
                code="unknown_model",
                param="model",
            )
        if self.webhook_url is not None:
            _check_webhook(self.webhook_url, settings)
        if self.currency is not None:
            bill("cpu", 0.0, currency=self.currency, exchange=settings.exchange)
        if self.until_pass:
            from vivant.runs.budget import Budget

            Budget.parse(self.budget or "").check_currency(settings)
        fields = self.model_copy(update={"engine": engine, "options": self.engine_options})
        return super(VideoFields, fields).to_request(image, settings)


def unflatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """``options[move]=orbit`` of a form → ``{"options": {"move": "orbit"}}``.

    Raises:
        OptionError: a field that comes both ways.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        match = _FORM_NAME.fullmatch(name)
        if match is None:
            if name in found:
                raise OptionError(f"{name} is given in two ways", param=name)
            found[name] = value
            continue
        inner = found.setdefault(match[1], {})
        if not isinstance(inner, dict):
            raise OptionError(f"{match[1]} is given in two ways", param=match[1])
        inner[match[2]] = value
    return found


def check_value(value: Any, name: str, depth: int) -> None:
    """Refuse what an option cannot be: numbers, texts, booleans, short lists and objects of them.

    Raises:
        OptionError: naming the option.
    """
    if depth > MAX_DEPTH:
        raise OptionError(f"{name} is nested too deeply", param=name)
    if isinstance(value, dict):
        if len(value) > MAX_OPTIONS:
            raise OptionError(f"{name} has too many entries", param=name)
        for key, inner in value.items():
            _check_text(key, "a key of options", 100)
            check_value(inner, str(key)[:60], depth + 1)
    elif isinstance(value, list):
        if len(value) > MAX_LIST:
            raise OptionError(f"{name} has too many entries", param=name)
        for inner in value:
            check_value(inner, name, depth + 1)
    elif isinstance(value, str):
        _check_text(value, name, MAX_PROMPT)
        if _PATH.search(value):
            raise OptionError(
                f"{name} looks like a path, and files of the server cannot be named here: "
                "use a name or owner/repository",
                param=name,
            )
    elif value is not None and not isinstance(value, bool):
        _check_number(value, name)


def _check_number(value: Any, name: str) -> None:
    # TOML has dates, too
    if not isinstance(value, (int, float)) or (isinstance(value, float) and not isfinite(value)):
        raise OptionError(f"{name} is not a number", param=name)
    if isinstance(value, int) and abs(value) > MAX_SEED:
        raise OptionError(f"{name} is too large a number", param=name)


def _check_text(text: str, name: str, longest: int) -> None:
    if len(text) > longest:
        raise OptionError(
            f"{name} has {len(text)} characters, more than the {longest} allowed", param=name
        )
    try:
        plain_text(text)
    except ValueError:
        raise OptionError(f"{name} contains characters that are no text", param=name) from None


class ComparisonFields(RequestFields):
    """What ``POST /v1/comparisons`` takes besides its pictures; see :mod:`vivant.compare`."""

    unknown: ClassVar[str] = (
        "field {name!r} is unknown: what is compared goes into preset or variants"
    )

    preset: Text | None = Field(None, examples=["upscalers"])
    """One of /v1/comparisons/presets."""
    variants: Annotated[
        Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})
    ] = Field(
        None,
        examples=[
            {
                "compare": {"engine": "camera", "seeds": 5, "options": {"scale": 0.5}},
                "variant": [
                    {"name": "cubic", "upscaler": "cubic"},
                    {"name": "lanczos", "upscaler": "lanczos"},
                ],
            }
        ],
    )
    """Instead of a preset: a TOML file's text, or the same as an object."""
    seeds: Annotated[
        Any,
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 1000},
                    {"type": "array", "items": {"type": "integer", "minimum": 0}},
                ]
            }
        ),
    ] = Field(None, examples=[5])
    """So many, or these."""
    num_frames: NumFrames | None = None
    """Length of each clip in frames."""
    size: Size | None = None
    """Of each clip."""
    currency: Currency | None = None
    """Of the bill; the server's default where it is not given."""
    priority: Priority = "normal"
    """Which of this key's clips go first."""
