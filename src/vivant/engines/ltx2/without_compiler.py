"""Keep torch's compiler from being imported where only a name of it is asked for.

``torch._dynamo`` and what it brings is half of everything that is imported for a clip. Diffusers
takes a decorator from it, and torch's operators on the meta device another one; both only mean
something to the compiler, which Vivant's fp8 blocks do without.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, TypeVar

T = TypeVar("T")

COMPILER: Final = "torch._dynamo"
FLEX: Final = "torch.nn.attention.flex_attention"
"""An attention that only exists compiled; diffusers imports it in case it is asked for."""


def _unchanged(function: Any = None, *_: Any, **__: Any) -> Any:
    """A decorator, with or without arguments, that does nothing."""
    return function if function is not None else _unchanged


def _stand_ins() -> dict[str, ModuleType]:
    compiler = ModuleType(COMPILER)
    compiler.__dict__.update(allow_in_graph=_unchanged, disable=_unchanged)
    return {COMPILER: compiler, FLEX: ModuleType(FLEX)}


@contextmanager
def _standing_in() -> Iterator[None]:
    added = {name: module for name, module in _stand_ins().items() if name not in sys.modules}
    sys.modules.update(added)
    try:
        yield
    finally:
        for name, module in added.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def without_compiler(work: Callable[[], T]) -> T:
    """``work()``, with stand-ins for modules of the compiler that are not imported yet.

    Where they do not suffice, ``work`` is done again without them.
    """
    if COMPILER in sys.modules:
        return work()
    try:
        with _standing_in():
            return work()
    except (AttributeError, ImportError):
        return work()
