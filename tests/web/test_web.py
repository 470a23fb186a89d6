"""The page's files without a browser: all there, in both languages, and the same as one file."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from base64 import b64encode
from pathlib import Path

import pytest

from vivant.cli.page import page
from vivant.errors import OutputError, OutputExistsError
from vivant.web import PAGE_POLICY, asset, asset_paths, single_file
from vivant.web.files import CHECK_WORDS_PATH, MEDIA_TYPES, VENDOR_FOLDER
from vivant.web.single import link, scope

SCRIPTS = [path for path in asset_paths() if path.endswith(".js")]

STRINGS = [path for path in SCRIPTS if path.startswith("assets/js/strings/")]

INJECTORS = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(")


def text(path: str) -> str:
    found = asset(path)
    assert found is not None, path
    return found.body.decode()


def table() -> dict[str, tuple[str, str]]:
    """The modules of strings, read as the JSON that their lists are."""
    # a long string is the sum of several
    source = re.sub(r'" \+\s+"', "", "\n".join(text(path) for path in STRINGS))
    rows = re.findall(r"^  (\w+): (\[[^\]]*\]),$", source, re.MULTILINE)
    return {key: tuple(json.loads(re.sub(r",\s*\]$", "]", pair))) for key, pair in rows}


def test_every_file_that_a_file_names_is_there() -> None:
    for path in asset_paths():
        if path.endswith((".html", ".css", ".js")):
            for name in re.findall(r'(?:src|href)="(assets/[^"]+)"', text(path)):
                assert asset(name) is not None, f"{path} names {name}"
            for name in re.findall(r'from "(\.[^"]+)"', text(path)):
                found = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
                assert asset(found) is not None, f"{path} imports {name}"


def test_nothing_is_asked_of_anybody_else() -> None:
    for path in asset_paths():
        for url in re.findall(r"https?://[^\s\"'`<>)]+", text(path)):
            assert url.startswith(
                ("http://www.w3.org/", "http://127.0.0.1:8000", "https://name.example", "https://…")
            ) or url in ("https://이름.example", "https://"), f"{path}: {url}"


@pytest.mark.parametrize("path", ["", "..", "assets/../index.html", "/etc/passwd", "files.py"])
def test_only_the_pages_own_files_are_found(path: str) -> None:
    assert asset(path) is None


def test_media_types_and_etags() -> None:
    for path in asset_paths():
        found = asset(path)
        assert found is not None
        assert found.media_type == MEDIA_TYPES["." + path.rsplit(".", 1)[1]]
        assert found.etag == f'"{hashlib.sha256(found.body).hexdigest()[:32]}"'


def test_the_page_is_small() -> None:
    files = [asset(path) for path in asset_paths()]
    assert sum(len(file.gzipped or file.body) for file in files if file) < 250_000


def test_every_word_is_there_in_both_languages() -> None:
    rows = table()
    source = "\n".join(text(path) for path in STRINGS)
    declared = re.findall(r"^  (\w+): ", source, re.MULTILINE)
    assert sorted(declared) == sorted(rows), "a line that is not key: [English, Korean]"
    for key, pair in rows.items():
        assert len(pair) == 2, key
        english, korean = pair
        assert english.strip() and korean.strip(), key
        places = [sorted(re.findall(r"\{\w+\}", words)) for words in pair]
        assert places[0] == places[1], f"{key}: {places}"
        assert not re.search("[가-힣]", english) or key == "language_other", key


def test_every_word_that_is_used_is_in_the_table_and_none_is_spare() -> None:
    rows = table()
    pages = [text(path) for path in (*SCRIPTS, "index.html") if path not in STRINGS]
    source = "\n".join(pages)
    asked = set(re.findall(r'\bt\("(\w+)"', source))
    asked |= set(re.findall(r'data-t(?:-label)?="(\w+)"', source))
    assert asked <= set(rows), asked - set(rows)
    literals = set(re.findall(r'"(\w+)"', source))
    prefixes = tuple(set(re.findall(r"t\(`(\w+_)\$\{", source)) | {"error_", "unit_", "engine_"})
    spare = {key for key in rows if key not in asked | literals and not key.startswith(prefixes)}
    assert not spare


def test_the_page_obeys_a_policy_without_inline_code() -> None:
    index = text("index.html")
    assert "unsafe" not in PAGE_POLICY
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script>", index)
    for path in SCRIPTS:
        assert not INJECTORS.search(text(path)), path


def test_single_file_needs_no_other_and_allows_only_itself() -> None:
    page = single_file('http://192.168.0.7:8000/"><script>')
    assert "assets/" not in page
    assert "<script>" not in page.split("<style>")[0]
    assert "&quot;&gt;&lt;script&gt;" in page
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    for code in [*scripts, *re.findall(r"<style>(.*?)</style>", page, re.DOTALL)]:
        digest = b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page
    assert not re.search(r"^(import|export) ", scripts[1], re.MULTILINE)


def test_linking_takes_each_module_once_and_after_what_it_needs() -> None:
    linked = link("assets/js/main.js")
    for path in SCRIPTS:
        if not path.endswith("before_paint.js"):
            assert linked.count(f"const {scope(path)} = (() => {{") == 1, path
    assert linked.index("const $shared_dom =") < linked.index("const $frame_frame =")
    with pytest.raises(ValueError, match="no assets/js/nothing"):
        link("assets/js/nothing.js")


def test_libraries_of_others_keep_their_licence() -> None:
    for path in (path for path in SCRIPTS if path.startswith(VENDOR_FOLDER)):
        licence = text(f"{path.removesuffix('.js')}.LICENSE.txt")
        assert licence in link(path)
        assert licence in single_file()
    code = link("assets/js/vendor/client-zip.js")
    assert "return { downloadZip: A, makeZip: N, predictLength: S };" in code


def test_no_line_is_too_long_to_read() -> None:
    for path in asset_paths():
        if path == CHECK_WORDS_PATH or path.startswith(VENDOR_FOLDER):
            continue
        if path.endswith((".html", ".css", ".js")):
            for number, line in enumerate(text(path).splitlines(), 1):
                assert len(line) <= 120, f"{path}:{number}"


def test_the_page_can_be_written_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "vivant.html"
    page(target, endpoint="https://name.example")
    assert 'name="vivant-endpoint" content="https://name.example"' in target.read_text("utf-8")
    assert "vivant serve --file-pages" in capsys.readouterr().out
    with pytest.raises(OutputExistsError, match="--force"):
        page(target)
    page(target, force=True)
    with pytest.raises(OutputError, match="cannot be written"):
        page(tmp_path / "nowhere" / "vivant.html")
