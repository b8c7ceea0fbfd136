"""Read which images a collection has, page by page, and refuse answers that are not of the known form."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from skinml.errors import RunError
from skinml.isic_archive.address import next_page
from skinml.isic_archive.client import Client, Refused

logger = logging.getLogger("skinml.fetch")

HAM10000 = 212
"""The number of HAM10000 among the archive's collections, as public code names it. Its name is checked."""

NAME = "HAM10000"
PAGE_IMAGES = 100
"""The largest page that the archive gives."""

_ISIC_ID = re.compile(r"ISIC_\d{7}")


@dataclass(frozen=True)
class Collection:
    """A collection: its number, name, and DOI if it has one."""

    number: int
    name: str
    doi: str | None


@dataclass(frozen=True)
class ArchiveImage:
    """An image of the archive.

    Attributes:
        isic_id: its name.
        url: where its file is, for some hours.
        size_bytes: of the file; None if the archive does not say.
        licence, attribution: of the image.
        metadata: acquisition and clinical fields together.
    """

    isic_id: str
    url: str
    size_bytes: int | None
    licence: str
    attribution: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """Some images, and how many the collection has; None if the page does not say."""

    images: tuple[ArchiveImage, ...]
    count: int | None


def find_ham10000(client: Client) -> Collection:
    """Find the collection HAM10000.

    Raises:
        RunError: the archive has none of this name.
    """
    try:
        found = _collection(client.read_json(f"{client.base}collections/{HAM10000}/"))
        if NAME.casefold() in found.name.casefold():
            return found
    except Refused:
        pass
    for row in _rows(client, f"{client.base}collections/?limit={PAGE_IMAGES}"):
        found = _collection(row)
        if found.name.strip().casefold() == NAME.casefold():
            return found
    raise RunError(f"{client.base}: has no public collection {NAME}; look at https://www.isic-archive.com")


def _collection(row: Any) -> Collection:
    if not isinstance(row, dict) or not isinstance(row.get("id"), int):
        raise RunError(f"the archive describes a collection in an unknown form: {str(row)[:100]!r}")
    return Collection(row["id"], str(row.get("name", "")), row.get("doi") or row.get("doi_url"))


def _rows(client: Client, url: str) -> Iterator[Any]:
    for answer in _answers(client, url):
        yield from answer["results"]


def _answers(client: Client, url: str) -> Iterator[dict[str, Any]]:
    """Follow the cursor from page to page. A cursor that comes again would never end."""
    seen: set[str] = set()
    following: str | None = url
    while following is not None:
        if following in seen:
            raise RunError(f"{client.base}: its pages repeat themselves; run the same command again later")
        seen.add(following)
        try:
            answer = client.read_json(following)
        except Refused as refused:
            raise RunError(
                f"{client.base}: a page of its list {refused}; run the same command again"
            ) from refused
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise RunError(f"{client.base}: answers in an unknown form: {str(answer)[:100]!r}")
        yield answer
        following = next_page(client.base, answer["next"]) if answer.get("next") else None


def list_pages(client: Client, collection: Collection) -> Iterator[Page]:
    """Yield the images of a collection in pages, each image once.

    The addresses of files are valid for some hours, so files are read before the next page is asked for.

    Raises:
        RunError: pages repeat themselves, or end before all images were named.
    """
    known: set[str] = set()
    count: int | None = None
    url = f"{client.base}images/search/?collections={collection.number}&limit={PAGE_IMAGES}"
    for answer in _answers(client, url):
        said = answer.get("count")
        count = said if isinstance(said, int) and count is None else count
        images = [one for one in map(read_image, answer["results"]) if one.isic_id not in known]
        if answer["results"] and not images:
            raise RunError(f"{client.base}: its pages repeat themselves; run the same command again later")
        known.update(one.isic_id for one in images)
        yield Page(tuple(images), count)
    if count is not None and len(known) < count:
        raise RunError(
            f"{client.base}: has named {len(known):,} of {count:,} images of {collection.name}; run the same "
            "command again"
        )
    if not known:
        raise RunError(f"{client.base}: its collection {collection.name} has no public image")


def read_image(row: Any) -> ArchiveImage:
    """Return an image from its JSON.

    Raises:
        RunError: it is of an unknown form, or its name is not that of an image of the archive.
    """
    try:
        isic_id, full = row["isic_id"], row["files"]["full"]
        metadata = row.get("metadata") or {}
        parts = [metadata.get(name) or {} for name in ("acquisition", "clinical")]
        size = full.get("size")
        image = ArchiveImage(
            isic_id,
            str(full["url"]),
            size if isinstance(size, int) and size > 0 else None,
            str(row.get("copyright_license") or ""),
            str(row.get("attribution") or ""),
            {name: value for part in parts for name, value in part.items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"the archive describes an image in an unknown form: {str(row)[:100]!r}") from error
    if not isinstance(isic_id, str) or not _ISIC_ID.fullmatch(isic_id):  # it becomes the name of a file
        raise RunError(f"the archive names an image {str(isic_id)[:60]!r}, not like ISIC_0024306")
    return image


def ask_again(client: Client, isic_id: str) -> ArchiveImage:
    """Return one image with a fresh address. Raises Refused if it is not there."""
    return read_image(client.read_json(f"{client.base}images/{isic_id}/"))
