"""What a visible label may say. Light: the API checks it before a job is accepted."""

from __future__ import annotations

from vivant.errors import OptionError

LANGUAGES = ("ko", "en")
"""Labels that come with Vivant; anything else is the label's own text."""

MAX_TEXT = 60
"""Characters."""

RULES = (
    {
        "where": "Korea",
        "rule": "AI Basic Act, article 31",
        "since": "2026-01-22",
        "source": "https://shinkim.com/eng/media/newsletter/3190",
    },
    {
        "where": "European Union",
        "rule": "AI Act (Regulation 2024/1689), article 50",
        "since": "2026-08-02",
        "source": "https://eur-lex.europa.eu/eli/reg/2024/1689/oj",
    },
    {
        "where": "YouTube",
        "rule": "disclosure of altered or synthetic content",
        "since": None,
        "source": "https://support.google.com/youtube/answer/15447836",
    },
)
"""Rules that may ask for a label where a service is run or a clip is published, as read in November
2026: information, not legal advice. docs/labels.md says what they ask of whom."""


def check_text(text: str, *, font: bool) -> None:
    """Refuse a label that cannot be drawn.

    Args:
        text: ``ko``, ``en``, or the text itself; empty is no label.
        font: whether the operator has chosen a font file.

    Raises:
        OptionError: too long, not one line, or letters that no font here has.
    """
    if not text or text in LANGUAGES:
        return
    if len(text) > MAX_TEXT or not text.isprintable() or not text.strip():
        raise OptionError(
            f"label must be one line of 1 to {MAX_TEXT} characters, or ko, or en", param="label"
        )
    if not (text.isascii() or font):
        raise OptionError(
            "label has letters that Vivant has no font for: set VIVANT_LABEL_FONT to a font "
            "file (.ttf, .otf), or use ko or en",
            param="label",
        )
