"""Find out without loading Prefect whether its settings may name a server. If in doubt, they may."""

from __future__ import annotations

import os
from pathlib import Path

ADDRESS = "PREFECT_API_URL"

NAMES_OF_PROFILES = ("PREFECT_PROFILES_PATH", "PREFECT_HOME")
"""Variables that say where Prefect's profiles are."""


def may_name_a_server() -> bool:
    """Whether an environment variable or a file that Prefect reads may set PREFECT_API_URL.

    Prefect reads, in this order: variables, `.env`, `prefect.toml` and `pyproject.toml` of the current folder,
    and the active profile of ~/.prefect/profiles.toml (prefect/settings/sources.py of 3.8). A file counts if
    its text could set the address, whichever profile or table that is in; only Prefect says what it does.
    """
    given = {name.upper(): value for name, value in os.environ.items()}  # Prefect ignores their case
    if ADDRESS in given:
        return bool(given[ADDRESS])
    if given.get("PREFECT_API"):  # all settings of the API as JSON
        return True
    files = {".env": "prefect", "prefect.toml": "", "pyproject.toml": "tool.prefect"}
    return any(_says(Path(file), text) for file, text in files.items()) or _says(_profiles(), ADDRESS.lower())


def _profiles() -> Path:
    path, home = (os.environ.get(name) for name in NAMES_OF_PROFILES)
    if path:
        return Path(path)
    return (Path(home) if home else Path.home() / ".prefect") / "profiles.toml"


def _says(file: Path, text: str) -> bool:
    """Whether the file is there and has this text. One that cannot be read is for Prefect to complain about."""
    try:
        return text in file.read_text(encoding="utf-8").lower()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, UnicodeDecodeError):
        return True
