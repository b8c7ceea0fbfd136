"""Ask the terminal for its width, and whether it can draw."""

from __future__ import annotations

import os


def columns() -> int:
    """How wide the terminal is: COLUMNS if it is set, else what the terminal says."""
    from shutil import get_terminal_size

    return max(get_terminal_size().columns, 20)


def is_dumb() -> bool:
    """Whether the terminal can neither draw nor colour."""
    return os.environ.get("TERM", "") in ("dumb", "unknown")
