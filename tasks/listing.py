"""Stages that check and list archives."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from skinml.layout import Archive, find_archive
from skinml.schemas import LISTING
from skinml.storage.listed import warnings
from skinml.storage.listing import list_images
from skinml.storage.urls import is_remote, normalise
from tasks.stage import stage

logger = logging.getLogger("skinml.archive")


@dataclass(frozen=True)
class Listing:
    """The image objects of one or more archives, each once.

    Attributes:
        images: columns of LISTING.
        archives: the archives that were listed.
        passed_over: number of other objects by kind, as in `Listed`.
    """

    images: pd.DataFrame
    archives: tuple[Archive, ...]
    passed_over: Counter[str]


@stage("check the archive", "check {archive}")
def check_archive(workspace: str, archive: str) -> Archive:
    """Return the archive after storage has begun to list it."""
    found = _find_archive(workspace, archive)
    next(list_images(found.url, found.left_out), None)
    return found


def _find_archive(workspace: str, url: str) -> Archive:
    """Return the archive; log which of its folders belong to the workspace and are left out."""
    archive = find_archive(workspace, url)
    if archive.left_out == (workspace,):
        logger.info(
            "the workspace %s is inside the archive %s and is left out of its listing", workspace, archive.url
        )
    elif archive.left_out:
        names = ", ".join(folder.rsplit("/", 1)[-1] for folder in archive.left_out)
        logger.info(
            "%s is also the workspace: its own folders (%s) are left out of the listing", archive.url, names
        )
    return archive


def warn_of_passed_over(place: str, passed_over: Mapping[str, int]) -> None:
    """Warn about files that look like images but were passed over."""
    for line in warnings(passed_over, is_remote(place)):
        logger.warning("%s: %s", place, line)


def _archives(parameters: dict[str, Any]) -> str:
    return f"list images below {', '.join(parameters['archives'])}"


@stage("list images", _archives)
def list_archives(workspace: str, archives: tuple[str, ...]) -> Listing:
    """List archives one after the other; an image that is below two of them counts once."""
    places = tuple(_find_archive(workspace, url) for url in dict.fromkeys(map(normalise, archives)))
    batches: list[pa.RecordBatch] = []
    passed_over: Counter[str] = Counter()
    for place in places:
        found: Counter[str] = Counter()
        for piece in list_images(place.url, place.left_out):
            batches.append(piece.images)
            found += piece.passed_over
        warn_of_passed_over(place.url, found)
        passed_over += found
    images = pa.Table.from_batches(batches, LISTING).to_pandas().drop_duplicates("uri", ignore_index=True)
    return Listing(images, places, passed_over)
