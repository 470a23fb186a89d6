"""What is known or set before the settings are read: the user's language, if there is a screen.

The first line of the command line waits for it, so nothing heavy is imported here.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Literal

import platformdirs

CONFIG_FILE = Path(platformdirs.user_config_dir("vivant", appauthor=False)) / "config.toml"
"""Of :class:`vivant.settings.Settings`."""

WINDOWS_KOREAN = 0x12
"""LANG_KOREAN of winnt.h."""


def read_config_file(path: Path) -> str:
    """The text of a configuration file; editors of Windows put a byte-order mark before it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8 text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text: save it as UTF-8") from None


def user_language() -> Literal["en", "ko"]:
    """The language of the command line: that of the setting ``lang``, or the locale's.

    English if neither is Korean. The variables and their order are those of POSIX. Windows sets
    none of them, so its own display language is asked for.
    """
    match _chosen_language():
        case "en":
            return "en"
        case "ko":
            return "ko"
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "ko" if re.match(r"ko(?![a-z])", value, re.IGNORECASE) else "en"
    if sys.platform == "win32":
        import ctypes

        primary = ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF
        return "ko" if primary == WINDOWS_KOREAN else "en"
    return "en"


def _chosen_language() -> object:
    """As it is written; the command itself will tell what is wrong with the settings."""
    chosen: object = os.environ.get("VIVANT_LANG")
    if chosen is None:
        with suppress(OSError, ValueError):  # TOML's errors are of the second kind
            chosen = tomllib.loads(read_config_file(CONFIG_FILE)).get("lang")
    return chosen


def has_screen() -> bool:
    """Whether a browser can show the user a page: not over SSH, nor on Linux without a display."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def use_one_blas_thread() -> None:
    """NumPy's BLAS computes in the thread that calls it, unless the user wants otherwise.

    To be called before NumPy is imported. Vivant's matrices are small, and its own threads keep the
    cores busy: BLAS's threads would mostly spin while they wait.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
