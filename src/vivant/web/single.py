"""The whole page as one HTML file that also works when it is opened from a disk.

Browsers load no modules from ``file://``. So all styles and modules are put into the page, and a
``Content-Security-Policy`` with their hashes replaces the server's header. :func:`link` handles
only what the page's modules use: named imports from relative paths, ``import("…")`` of a path, and
exported functions, classes and constants. It refuses anything else. A library of others may end
with a list of its exports; its licence comes with it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import posixpath
import re

from vivant.web.files import VENDOR_FOLDER, asset

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[\w./-]+\.js)";\n', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(\.{1,2}/[\w./-]+\.js)"\)')
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|class) (\w+))", re.MULTILINE)
_EXPORT_LIST = re.compile(r"\bexport ?\{([^}]*)\};?\s*$")
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n?')
_SCRIPT = re.compile(r'<script (?:type="module" )?src="([\w./-]+\.js)"></script>\n?')

JS_ROOT = "assets/js"
"""Folder of the modules."""

ENDPOINT_MARK = "<!-- vivant:endpoint -->"


def single_file(endpoint: str | None = None) -> str:
    """The page with everything inside.

    Args:
        endpoint: URL of the server to suggest; the page has a field for it and remembers what
            the user enters there.
    """
    page = _text("index.html")
    styles = "".join(_text(path) for path in _STYLE.findall(page))
    before_paint, entry = _SCRIPT.findall(page)
    first, script = _text(before_paint), link(entry)
    icon = base64.b64encode(_text("assets/icon.svg").encode()).decode()
    policy = (
        f"default-src 'none'; script-src {_hash(first)} {_hash(script)}; "
        f"style-src {_hash(styles)}; img-src data: blob: http: https:; "
        "media-src blob: http: https:; connect-src http: https:; base-uri 'none'; "
        "form-action 'none'"
    )
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    head += f'<meta name="vivant-endpoint" content="{html.escape(endpoint or "")}">'
    page = _STYLE.sub("", _SCRIPT.sub("", page))
    page = page.replace('href="assets/icon.svg"', f'href="data:image/svg+xml;base64,{icon}"')
    page = page.replace(ENDPOINT_MARK, head)
    page = page.replace("</head>", f"<style>{styles}</style>\n<script>{first}</script>\n</head>")
    # at the end of the body, because an inline module needs the elements above it
    return page.replace("</body>", f'<script type="module">{script}</script>\n</body>')


def link(entry: str) -> str:
    """The module at path ``entry`` and all that it imports as one script.

    Each module gets a scope of its own and stands after the modules that it imports.

    Raises:
        ValueError: a module is missing, imports itself in a circle, or uses a syntax that this
            linker does not handle.
    """
    linked: dict[str, str] = {}
    _link(entry, linked, ())
    return "\n".join(linked.values())


def _link(path: str, linked: dict[str, str], above: tuple[str, ...]) -> None:
    if path in linked:
        return
    if path in above:
        raise ValueError(f"modules import each other: {' > '.join((*above, path))}")
    source = _text(path)

    def imported(target: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))

    for target in [*(found[1] for found in _IMPORT.findall(source)), *_LATER.findall(source)]:
        _link(imported(target), linked, (*above, path))
    body = _IMPORT.sub(
        lambda found: (
            f"const {{{found[1].replace(' as ', ': ')}}} = {scope(imported(found[2]))};\n"
        ),
        source,
    )
    body = _LATER.sub(lambda found: f"Promise.resolve({scope(imported(found[1]))})", body)
    exported = _EXPORT.findall(body)
    body = _EXPORT.sub("", body)
    if path.startswith(f"{VENDOR_FOLDER}/"):
        exported = [_property(name) for name in _EXPORT_LIST.findall(body)[0].split(",")]
        body = f"/*\n{_text(path.removesuffix('.js') + '.LICENSE.txt')}*/\n"
        body += _EXPORT_LIST.sub("", source)
    for mark in ("</script", "import ", "export ", "import("):
        pattern = ("^" if mark.endswith(" ") else "") + re.escape(mark)
        if re.search(pattern, body, re.MULTILINE):
            raise ValueError(f"{path} has {mark!r}, which cannot stand in a single file")
    linked[path] = (
        f"const {scope(path)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
    )


def _property(exported: str) -> str:
    """``A as downloadZip`` → ``downloadZip: A``."""
    local, _, name = exported.strip().partition(" as ")
    return f"{name}: {local}" if name else local


def scope(path: str) -> str:
    """The constant that holds what a module exports: ``$form_fields`` for ``…/form/fields.js``."""
    name = path.removeprefix(f"{JS_ROOT}/").removesuffix(".js")
    return f"${re.sub(r'[/-]', '_', name)}"


def _text(path: str) -> str:
    found = asset(path)
    if found is None:
        raise ValueError(f"the page has no {path}")
    return found.body.decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
