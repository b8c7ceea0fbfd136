"""Stages that list archives: which images lie below folders and prefixes."""

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
    """Image objects of one or several archives, each once.

    Attributes:
        images: columns of LISTING.
        archives: where they lie.
        passed_over: other objects by kind, as `Listed` has them.
    """

    images: pd.DataFrame
    archives: tuple[Archive, ...]
    passed_over: Counter[str]


@stage("look at the archive", "look at {archive}", tags=("storage",))
def check_archive(workspace: str, archive: str) -> Archive:
    """The archive, once storage has begun to list it."""
    found = _find_archive(workspace, archive)
    next(list_images(found.url, found.left_out), None)
    return found


def _find_archive(workspace: str, url: str) -> Archive:
    """The archive; the log names what of it belongs to the workspace and is left out."""
    archive = find_archive(workspace, url)
    if archive.left_out == (workspace,):
        logger.info(
            "the workspace %s lies in the archive %s and is left out of its listing", workspace, archive.url
        )
    elif archive.left_out:
        names = ", ".join(folder.rsplit("/", 1)[-1] for folder in archive.left_out)
        logger.info(
            "%s is the workspace, too: its own folders are left out of the listing (%s)", archive.url, names
        )
    return archive


def warn_of_passed_over(place: str, passed_over: Mapping[str, int]) -> None:
    """Say what of an archive looks like an image and was passed over all the same."""
    for line in warnings(passed_over, is_remote(place)):
        logger.warning("%s: %s", place, line)


def _archives(parameters: dict[str, Any]) -> str:
    return f"list images below {', '.join(parameters['archives'])}"


@stage("list images", _archives, tags=("storage",))
def list_archives(workspace: str, archives: tuple[str, ...]) -> Listing:
    """List archives one after the other; an image below two of them counts once."""
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
