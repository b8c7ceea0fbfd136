"""Whether the archive of the nights can still be listed from this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from skinml.errors import SkinmlError
from skinml.storage.listing import list_images
from skinml.storage.urls import normalise


def archive_of(night: Mapping[str, Any] | None) -> str | None:
    """Return the archive that a night was asked to score; None if its row does not say."""
    try:
        asked = json.loads((night or {}).get("parameters") or "{}")
    except ValueError:  # written by somebody else
        return None
    archive = asked.get("archive") if isinstance(asked, dict) else None
    return archive if isinstance(archive, str) and archive else None


def note_of_archive(archive: str | None) -> list[str]:
    """Return a note if an archive cannot be listed here.

    It is no problem of the workspace: nights may run on another machine, which can.
    """
    if archive is None:
        return []
    try:
        next(list_images(normalise(archive), at_once=1), None)
    except SkinmlError as error:
        return [f"the archive cannot be listed from this machine: {error}"]
    return []
