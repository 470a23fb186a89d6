"""Opens a page in the user's browser."""

from __future__ import annotations

import sys
import threading

from vivant.environment import has_screen


def open_page(address: str, wanted: bool | None) -> None:
    """Open ``address`` without waiting for the browser; nothing happens where there is none.

    Args:
        wanted: None opens it only for a user at a terminal of a machine with a screen.
    """
    import webbrowser

    if wanted is None:
        wanted = sys.stdout.isatty() and has_screen()
    if wanted:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
