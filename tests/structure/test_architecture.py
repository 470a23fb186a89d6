"""Imports point one way, no file imports itself through others, and what must stay light does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import vivant

ROOT = Path(vivant.__file__).parent

GROUND = {
    "types", "errors", "grid", "version", "crop_area", "child_process", "field_errors",
}  # fmt: skip
LIGHT_PICTURE = {
    "picture.averaging",
    "picture.dark_glasses",
    "picture.embedding",
    "picture.face_mesh",
    "picture.faces",
    "picture.framing",
    "picture.hair_strands",
    "picture.iris",
    "picture.matte",
}
ALLOWED: dict[str, set[str]] = {
    "types": {"errors", "crop_area"},
    "crop_area": {"errors"},
    "errors": set(),
    "child_process": set(),
    "field_errors": set(),
    "version": set(),
    "request_fields": GROUND | {"provenance.label_text", "settings"},
    "grid": GROUND,
    "settings": GROUND | {"environment"},
    "environment": set(),
    "cost": GROUND | {"settings"},
    "report": GROUND | {"cost"},
    "picture": GROUND,
    "image_limits": {"settings", "picture.source"},
    "video": GROUND | {"picture.framing"},
    "weights": GROUND,
    "engines": GROUND | LIGHT_PICTURE | {"settings", "weights"},
    "upscalers": GROUND | {"settings", "weights"},
    "page_template": set(),
    "known_sentences": set(),
    "checks": GROUND | LIGHT_PICTURE | {"video", "cost", "page_template", "web.theme"},
    "web": GROUND | {"picture.sample_picture"},
    "provenance": GROUND | {"settings", "picture.framing"},
    "pipeline": GROUND
    | {"checks", "cost", "image_limits", "picture", "provenance", "report", "settings", "video"},
}
"""Room → what it may import of ours, besides itself: rooms or single modules. Others compose."""

PICTURE_INSIDE = {
    "averaging": set[str](),
    "sample_picture": set[str](),
    "onnx_graph": set[str](),
    "embedding": {"onnx_graph"},
    "face_mesh": {"averaging"},
    "dark_glasses": {"face_mesh"},
    "blaze_face": {"face_mesh"},
    "faces": {"blaze_face", "embedding", "face_mesh", "iris"},
    "framing": set[str](),
    "hair_strands": {"matte"},
    "iris": {"face_mesh"},
    "matte": {"face_mesh"},
}
"""Modules of ``picture`` that engines and checks may use: none of them may decode files."""


def module(path: Path) -> str:
    """``engines/camera/path.py`` → ``engines.camera.path``; the package itself is ``""``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(path): path for path in sorted(ROOT.rglob("*.py"))}


def nodes(tree: ast.AST, *, types_only: bool) -> Iterator[ast.AST]:
    """All nodes; those below ``if TYPE_CHECKING`` only where ``types_only``."""
    for child in ast.iter_child_nodes(tree):
        if (
            isinstance(child, ast.If)
            and ast.unparse(child.test) == "TYPE_CHECKING"
            and not types_only
        ):
            continue
        yield child
        yield from nodes(child, types_only=types_only)


def imports(path: Path, *, types_only: bool = True) -> set[str]:
    """Modules of ours that a file imports, wherever in the file, without ``vivant.``."""
    found: set[str] = set()
    for node in nodes(ast.parse(path.read_text("utf-8")), types_only=types_only):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [
                f"{node.module}.{alias.name}"
                if f"{node.module}.{alias.name}".removeprefix("vivant.") in FILES
                else node.module
                for alias in node.names
            ]
        else:
            continue
        found |= {name.removeprefix("vivant.") for name in names if name.startswith("vivant.")}
    return found


def room(name: str) -> str:
    """First part of a module's name."""
    return name.partition(".")[0]


@pytest.mark.parametrize("name", FILES)
def test_imports_point_one_way(name: str) -> None:
    path = FILES[name]
    here = room(name)
    if here in ALLOWED:
        allowed = ALLOWED[here] | {here}
        extra = {other for other in imports(path) if not {other, room(other)} & allowed}
        assert not extra, f"{here} must not import {', '.join(sorted(extra))}"
    if here == "picture" and path.stem in PICTURE_INSIDE:
        inside = {other.split(".")[1] for other in imports(path) if room(other) == "picture"}
        assert inside <= PICTURE_INSIDE[path.stem]
    assert path.stem not in {"utils", "helpers", "common", "manager"}


def test_no_file_imports_itself_through_others() -> None:
    graph = {name: imports(path, types_only=False) - {name} for name, path in FILES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


def test_nothing_reads_the_environment_but_settings() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if "os.environ" in path.read_text("utf-8") or "getenv(" in path.read_text("utf-8")
    ]
    assert set(readers) <= {"settings.py", "environment.py"}, readers
