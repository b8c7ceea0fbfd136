"""Stages that check and list archives."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from skinml import layout
from skinml.schemas import LISTING
from skinml.storage.listed import warnings
from skinml.storage.listing import list_images
from skinml.storage.urls import as_uri, is_remote, normalise
from tasks.stage import stage

logger = logging.getLogger("skinml.archive")


@dataclass(frozen=True)
class Listing:
    """The image objects of one or more archives, each once.

    Attributes:
        images: columns of LISTING.
        places: the archives, normalised.
        roots: the archives as uris.
        passed_over: number of other objects by kind, as in `Listed`.
    """

    images: pd.DataFrame
    places: tuple[str, ...]
    roots: tuple[str, ...]
    passed_over: Counter[str]


@stage("check the archive", "check {archive}", tags=("storage",))
def check_archive(workspace: str, archive: str) -> str:
    """Return the archive's normalised URL after storage has begun to list it."""
    place = normalise(archive)
    next(list_images(place, _left_out(workspace, place)), None)
    return place


def _left_out(workspace: str, place: str) -> tuple[str, ...]:
    """Return and log the workspace's own folders in an archive, which are left out of its listing."""
    left_out = layout.within_archive(workspace, place)
    if left_out == (workspace,):
        logger.info("the workspace %s lies in the archive %s and is left out of its listing", workspace, place)
    elif left_out:
        names = ", ".join(url.rsplit("/", 1)[-1] for url in left_out)
        logger.info("%s is the workspace, too: its own folders are left out of the listing (%s)", place, names)
    return left_out


def warn_of_passed_over(place: str, passed_over: Mapping[str, int]) -> None:
    """Warn about files that look like images but were passed over."""
    for line in warnings(passed_over, is_remote(place)):
        logger.warning("%s: %s", place, line)


def _archives(parameters: dict[str, Any]) -> str:
    return f"list images below {', '.join(parameters['archives'])}"


@stage("list images", _archives, tags=("storage",))
def list_archives(workspace: str, archives: tuple[str, ...]) -> Listing:
    """List archives one after the other; an image that is below two of them counts once."""
    places = tuple(dict.fromkeys(map(normalise, archives)))
    left_out = {place: _left_out(workspace, place) for place in places}
    batches: list[pa.RecordBatch] = []
    passed_over: Counter[str] = Counter()
    for place in places:
        found: Counter[str] = Counter()
        for piece in list_images(place, left_out[place]):
            batches.append(piece.images)
            found += piece.passed_over
        warn_of_passed_over(place, found)
        passed_over += found
    images = pa.Table.from_batches(batches, LISTING).to_pandas().drop_duplicates("uri", ignore_index=True)
    return Listing(images, places, tuple(map(as_uri, places)), passed_over)
