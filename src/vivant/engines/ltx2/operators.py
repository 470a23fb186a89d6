"""Functions that torch takes as they are: operators of its own, traced by a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_LIBRARY = torch.library.Library("vivant", "FRAGMENT")


def operator(
    schema: str, fake: Callable[..., Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function an operator of torch, with ``fake`` for tracing.

    ``torch.library.custom_op`` does this too, and adds checks in Python to every call: a step makes
    a thousand of them, and at small sizes the GPU waits for that.
    """
    name = schema.partition("(")[0]

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(name, function, "CompositeExplicitAutograd")
        torch.library.register_fake(f"vivant::{name}", fake, lib=_LIBRARY)
        made: Callable[..., Any] = getattr(torch.ops.vivant, name).default
        return made

    return register
