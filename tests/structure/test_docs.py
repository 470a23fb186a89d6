"""What the documentation names exists: links, pictures, commands, files, modules and settings.

The commands are parsed, not run.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import typer

import vivant
from vivant.cli.main import app
from vivant.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGE = Path(vivant.__file__).parent

LISTED = 9
"""Packages of more files than this list them in their docstring."""

if not (ROOT / "docs").is_dir():  # a source distribution is tested without it
    pytest.skip("docs/ is not part of this copy", allow_module_level=True)

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
}
every_page = pytest.mark.parametrize("page", PAGES)


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_commands(text: str) -> Iterator[str]:
    """Lines of the fenced blocks that start Vivant, without their comment."""
    for _, block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|[ (])(vivant [a-z-].*)", line.split(" #")[0])
            if found and re.match(
                r"(\$ |[A-Z_]+=\S+ |. scripts/uv.sh && )*(uv run )?vivant ", line
            ):
                yield re.split(r" \|\|? | > |; | && ", found[1])[0]


@cache
def vivant_command() -> Any:
    """The command line."""
    return typer.main.get_command(app)


def parse(words: list[str]) -> None:
    """Fail unless the command line accepts these words; runs nothing."""
    command = vivant_command()
    context = click.Context(command, info_name="vivant")
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(command.name, list(words), parent=context.parent)


@every_page
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[page])):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (folder / name).resolve() if name else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            linked = PAGES[path.relative_to(ROOT).as_posix()]
            assert anchor in anchors(linked), f"{page} links to {target}"


@every_page
def test_commands_can_be_parsed(page: str) -> None:
    for line in shell_commands(PAGES[page]):
        words = shlex.split(line.replace("…", "x"))[1:]
        if "--help" not in words and "--version" not in words:
            parse(words)


@every_page
def test_commands_in_sentences_exist(page: str) -> None:
    command = vivant_command()
    for words in re.findall(r"`(?:uv run )?vivant ([a-z][^`]*)`", prose(PAGES[page])):
        name, *rest = words.split()
        assert name in command.commands, f"{page}: vivant {name}"
        group: Any = getattr(command.commands[name], "commands", None)
        for sub in rest[0].split("|") if group is not None and rest else ():
            assert sub in group, f"{page}: vivant {name} {sub}"


@every_page
def test_files_and_modules_exist(page: str) -> None:
    text = PAGES[page]
    names = r"(?<![\w/.])((?:src/vivant|deploy|docs|bench|tests|scripts)/[\w./-]*\w)"
    for name in re.findall(names, prose(text)):
        assert "NAME" in name or (ROOT / name).exists(), f"{page}: {name}"
    for name in re.findall(r"`vivant((?:\.\w+)+)`", text):
        parts = name.strip(".").split(".")
        if parts[-1] in {"json", "db"}:
            continue
        module = "vivant." + ".".join(parts[:-1]) if parts[:-1] else "vivant"
        found = find_spec(f"vivant{name}") if (PACKAGE / parts[0]).exists() else None
        found = found or find_spec(module)
        assert found, f"{page}: vivant{name}"
        if found.name == module:
            source = Path(str(found.origin)).read_text("utf-8")
            assert re.search(rf"\b{parts[-1]}\b", source), f"{page}: vivant{name}"


@every_page
def test_settings_exist(page: str) -> None:
    for name in re.findall(r"\bVIVANT_([A-Z_]*[A-Z])", PAGES[page]):
        assert name.lower() in Settings.model_fields or name == "API_KEY", f"{page}: VIVANT_{name}"


@pytest.mark.parametrize("init", sorted(PACKAGE.rglob("__init__.py"), key=str), ids=str)
def test_a_room_lists_its_files(init: Path) -> None:
    listing = ast.get_docstring(ast.parse(init.read_text("utf-8"))) or ""
    names = {path.name for path in init.parent.glob("*.py")} - {"__init__.py"}
    if len(names) > LISTED and init.parent != PACKAGE:
        assert {name for name in names if name not in listing} == set()
    named = set(re.findall(r"^ {4}([\w/]+\.py)", listing, re.MULTILINE))
    assert {name for name in named if not (init.parent / name).exists()} == set()


def test_readme_lists_every_room() -> None:
    (listing,) = [b for _, b in blocks(PAGES["README.md"]) if b.startswith("src/vivant/")]
    named = set(re.findall(r"^  ([\w./]+)", listing, re.MULTILINE))
    rooms = {f"{p.parent.name}/" for p in PACKAGE.glob("*/__init__.py")}
    files = {p.name for p in PACKAGE.glob("*.py")} - {"__main__.py", "version.py"}
    assert named == rooms | files


def test_both_readmes_show_the_same_commands() -> None:
    def code(page: str) -> list[list[str]]:
        return [
            [line.split(" #")[0].rstrip() for line in block.splitlines()]
            for language, block in blocks(PAGES[page])
            if language
        ]

    assert code("README.md") == code("README.ko.md")


def test_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", PAGES["docs/README.md"]))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
