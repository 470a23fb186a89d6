"""The Jinja templates of HTML pages, with the same rules for all: everything is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2


def page_template(
    package: str,
    name: str,
    *,
    folder: str = "",
    filters: Mapping[str, Callable[..., str]] | None = None,
    **names: Any,
) -> jinja2.Template:
    """A template of a package. To use a name in it that is not given is an error.

    Args:
        package: that the template belongs to.
        name: of the template's file.
        folder: of the file, below the package's folder; it may include other files of this folder.
        filters: by the names that the template uses.
        **names: what the template may use besides what it is rendered with.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(filters or {})
    environment.globals.update(names)
    return environment.get_template(name)
