"""Check the folder of the seven folders, or refuse. Loads no pandas, so that a refusal is quick."""

from __future__ import annotations

import os
from pathlib import Path

from skinml.errors import RequestError
from skinml.layout import within_archive
from skinml.storage.urls import is_remote, normalise

LIST = "organized.csv"
"""The file beside the folders that lists what is in them."""


def check_folder(workspace: str, out: str) -> Path:
    """Return the folder of the seven folders.

    Args:
        workspace: normalised URL.
        out: as the user wrote it.

    Raises:
        RequestError: it is in a bucket, a file, inside the workspace's own folders, or may not be written to.
    """
    folder = normalise(out)
    if is_remote(folder):
        raise RequestError(f"--out {out}: give a folder of this machine; links and Keras need one")
    within_archive(workspace, folder)
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise RequestError(f"--out {out}: is a file; give a folder")
    above = nearest(place)
    if not os.access(above, os.W_OK):
        raise RequestError(f"--out {out}: you may not write to {above}; change its permissions")
    there = place / LIST
    if there.exists() and not there.read_bytes()[:100].startswith(b'"image_id","dx","file"'):
        raise RequestError(f"--out {out}: {LIST} is there already and is another file; give another folder")
    return place


def nearest(place: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not place.is_dir():
        place = place.parent
    return place
