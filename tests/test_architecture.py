"""Imports point one way, and what must stay light stays light."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vivant

ROOT = Path(vivant.__file__).parent

GROUND = {"types", "errors", "grid", "version"}
LOW = GROUND | {"embedding", "faces", "framing"}
ALLOWED: dict[str, set[str]] = {
    "types": {"errors"},
    "errors": set(),
    "version": set(),
    "grid": GROUND,
    "onnx_graph": set(),
    "embedding": GROUND | {"onnx_graph"},
    "faces": LOW,
    "framing": LOW,
    "lanes": GROUND,
    "cores": set(),
    "times": GROUND,
    "film": GROUND | {"encode", "lanes", "media"},
    "settings": GROUND,
    "cost": GROUND,
    "report": GROUND,
    "sheet": GROUND,
    "store": GROUND,
    "encode": GROUND,
    "media": GROUND,
    "image": LOW,
    "weights": GROUND,
    "engine": LOW | {"settings", "weights"},
    "upscale": LOW | {"settings", "weights"},
    "checks": LOW | {"media", "cost"},
}
"""Package → what it may import of ours, besides itself. Others are composition."""


def unit(path: Path) -> str:
    """First part of a module's place in the package: ``engine/camera/path.py`` → ``engine``."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """First parts of every ``vivant.…`` that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
            if node.module == "vivant":
                names = [f"vivant.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("vivant.")}
    return found


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_point_one_way(path: Path) -> None:
    here = unit(path)
    if here in ALLOWED:
        extra = imports(path) - ALLOWED[here] - {here}
        assert not extra, f"{here} must not import {', '.join(sorted(extra))}"
    assert path.stem not in {"utils", "helpers", "common", "manager"}


def test_nothing_reads_the_environment_but_settings() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if "os.environ" in path.read_text("utf-8") or "getenv(" in path.read_text("utf-8")
    ]
    assert set(readers) <= {"settings.py"}, readers
