"""The whole page as one HTML file that works when opened from a disk.

Browsers do not load modules from ``file://``, so styles and modules are put inside, and a policy
with their hashes takes the place of the server's header. This is a linker for the page's own
modules, not for JavaScript at large: named imports from ``./…js`` and exported functions, classes
and constants are all it knows, and anything else is refused.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re

from vivant.web.files import asset

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|class) (\w+))", re.MULTILINE)
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">\n?')
_SCRIPT = re.compile(r'<script (?:type="module" )?src="assets/js/([\w-]+)\.js"></script>\n?')

ENDPOINT_MARK = "<!-- vivant:endpoint -->"


def single_file(endpoint: str | None = None) -> str:
    """The page with everything inside.

    Args:
        endpoint: URL of the server to speak to, as a first suggestion; the page has a field for
            it and remembers what was entered there.
    """
    page = _text("index.html")
    styles = "".join(_text(path) for path in _STYLE.findall(page))
    early, entry = _SCRIPT.findall(page)
    first, script = _text(f"assets/js/{early}.js"), link(entry)
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
    # last in the body, because an inline script runs where it stands
    return page.replace("</body>", f'<script type="module">{script}</script>\n</body>')


def link(entry: str) -> str:
    """Module ``entry`` and all it imports as one script, each in a scope of its own.

    Raises:
        ValueError: a module uses what this linker does not know.
    """
    done: dict[str, str] = {}
    _link(entry, done, ())
    return "\n".join(done.values())


def _link(name: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    if name in done:
        return
    if name in above:
        raise ValueError(f"modules import each other: {' > '.join((*above, name))}")
    source = _text(f"assets/js/{name}.js")
    for _, other in _IMPORT.findall(source):
        _link(other, done, (*above, name))
    body = _IMPORT.sub(
        lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = {_scope(found[2])};\n", source
    )
    exported = _EXPORT.findall(body)
    body = _EXPORT.sub("", body)
    for mark in ("</script", "import ", "export ", "import("):
        pattern = ("^" if mark.endswith(" ") else "") + re.escape(mark)
        if re.search(pattern, body, re.MULTILINE):
            raise ValueError(f"{name}.js has {mark!r} where one file cannot")
    done[name] = (
        f"const {_scope(name)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
    )


def _scope(module: str) -> str:
    return f"${module.replace('-', '_')}"


def _text(path: str) -> str:
    found = asset(path)
    if found is None:
        raise ValueError(f"the page has no {path}")
    return found.body.decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
