"""Stages that look before anything is written: the workspace, and the images below folders and prefixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from skinml import workspace as layout
from skinml.schemas import LISTING
from skinml.storage.listing import list_images
from skinml.storage.urls import normalise
from tasks.stage import stage


@dataclass(frozen=True)
class Listing:
    """Image objects (columns of LISTING), each once, and how many other objects were passed over."""

    images: pd.DataFrame
    ignored: int


@stage("open workspace", "open workspace {workspace}", tags=("storage",))
def open_workspace(workspace: str) -> str:
    """The workspace's normalised URL, if it is or can become one."""
    return layout.open_workspace(workspace)


def _archives(parameters: dict[str, Any]) -> str:
    return f"list images below {', '.join(parameters['archives'])}"


@stage("list images", _archives, tags=("storage",))
def list_archives(archives: tuple[str, ...]) -> Listing:
    """List archives one after the other; an image below two of them counts once."""
    listed = [piece for archive in archives for piece in list_images(normalise(archive))]
    images = pa.Table.from_batches([piece.images for piece in listed], LISTING).to_pandas()
    return Listing(images.drop_duplicates("uri", ignore_index=True), sum(piece.ignored for piece in listed))
