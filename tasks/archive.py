"""Stages that look before anything is written: the workspace, and the images below folders and prefixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from skinml import workspace as layout
from skinml.schemas import LISTING
from skinml.storage.listing import list_images
from skinml.storage.urls import as_uri, normalise
from tasks.stage import stage


@dataclass(frozen=True)
class Listing:
    """Image objects (columns of LISTING), each once, below which uris, and how many others were passed over."""

    images: pd.DataFrame
    roots: tuple[str, ...]
    ignored: int


@stage("open workspace", "open workspace {workspace}", tags=("storage",))
def open_workspace(workspace: str) -> str:
    """The workspace's normalised URL, if it is or can become one."""
    return layout.open_workspace(workspace)


@stage("find workspace", "find workspace {workspace}", tags=("storage",))
def find_workspace(workspace: str) -> str:
    """The normalised URL of a workspace in which something has run. It may be read only."""
    return layout.find_workspace(workspace)


@stage("look at the archive", "look at {archive}", tags=("storage",))
def check_archive(archive: str) -> str:
    """The archive's normalised URL, once storage has begun to list it."""
    place = normalise(archive)
    next(list_images(place), None)
    return place


def _archives(parameters: dict[str, Any]) -> str:
    return f"list images below {', '.join(parameters['archives'])}"


@stage("list images", _archives, tags=("storage",))
def list_archives(archives: tuple[str, ...]) -> Listing:
    """List archives one after the other; an image below two of them counts once."""
    places = [normalise(archive) for archive in archives]
    listed = [piece for place in places for piece in list_images(place)]
    images = pa.Table.from_batches([piece.images for piece in listed], LISTING).to_pandas()
    roots = tuple(as_uri(place) for place in places)
    ignored = sum(piece.ignored for piece in listed)
    return Listing(images.drop_duplicates("uri", ignore_index=True), roots, ignored)
