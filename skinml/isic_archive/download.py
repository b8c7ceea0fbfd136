"""Download a collection into a folder, page by page; continue what an earlier run has begun."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from skinml.errors import ImageRejected, RequestError, RunError, SkinmlError
from skinml.images.formats import identify
from skinml.isic_archive.client import Client, Refused
from skinml.isic_archive.journal import JOURNAL, MANIFEST, Fetched, Journal, open_journal, read_known
from skinml.isic_archive.licence import check_covered
from skinml.isic_archive.pages import ArchiveImage, Collection, ask_again, list_pages
from skinml.storage.objects import MAX_OBJECT_BYTES, create_bytes
from skinml.storage.urls import is_remote, normalise

logger = logging.getLogger("skinml.fetch")

IMAGES = "images"
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tiff", "BMP": ".bmp", "WEBP": ".webp"}

MOST_FAILURES = 5
"""Files that may fail one after the other. With more, the archive is down, and the run ends."""

Advance = Callable[[int], None]
Begin = Callable[[int], Advance]
"""Called once with the number of images; the function that counts them."""


@dataclass
class Progress:
    """What a run has done so far.

    Attributes:
        images: all images named by the archive so far.
        fetched: their files.
        new: how many of these this run has fetched.
        failed: why images have no file.
        in_a_row: how many images failed since the last one that did not.
    """

    images: list[ArchiveImage] = field(default_factory=list)
    fetched: dict[str, Fetched] = field(default_factory=dict)
    new: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0


def check_folder(out: str) -> Path:
    """Return the folder, if it is new, empty or of an earlier fetch.

    Raises:
        RequestError: it is in a bucket, is a file, has other files in it, or may not be written to.
    """
    place = normalise(out)
    if is_remote(place):
        raise RequestError(f"--out {out}: give a folder of this machine; copy it to the bucket afterwards")
    folder = Path(place)
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"--out {out}: is a file; give a folder")
    if (
        folder.is_dir()
        and any(folder.iterdir())
        and not any((folder / one).exists() for one in (JOURNAL, MANIFEST))
    ):
        raise RequestError(f"--out {out}: has other files in it; give a new or empty folder")
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise RequestError(f"--out {out}: you may not write to {nearest}; give another folder")
    return folder


def download(
    client: Client, collection: Collection, folder: Path, connections: int, limit: int | None, begin: Begin
) -> Progress:
    """Fetch all images of a collection that are not there yet, or the first `limit`.

    Args:
        client: the archive.
        collection: what to fetch.
        folder: from `check_folder`.
        connections: downloads at a time.
        limit: at most so many images; None for all.
        begin: told how many images there are.

    Raises:
        RunError: the archive does not answer; the disk is full; an image has another licence; several files one
            after the other failed.
        RequestError: another run works in the folder.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    progress, advance = Progress(), None
    with open_journal(folder) as journal:
        known = read_known(folder)
        _remove_parts(folder / IMAGES)
        for page in list_pages(client, collection):
            if advance is None:
                there = page.count if page.count is not None else len(page.images)
                advance = begin(min(there, limit) if limit is not None else there)
            wanted = list(page.images[: None if limit is None else limit - len(progress.images)])
            for image in wanted:
                check_covered(image.isic_id, image.licence)
            progress.images += wanted
            _fetch_page(client, folder, wanted, known, journal, progress, connections, advance)
            if limit is not None and len(progress.images) >= limit:
                break
    return progress


def _fetch_page(
    client: Client,
    folder: Path,
    images: list[ArchiveImage],
    known: Mapping[str, Fetched],
    journal: Journal,
    progress: Progress,
    connections: int,
    advance: Advance,
) -> None:
    """Fetch the images of a page, several at a time."""
    with ThreadPoolExecutor(connections, thread_name_prefix="fetch") as pool:
        futures = [
            pool.submit(_fetch, client, folder, image, known.get(image.isic_id), journal) for image in images
        ]
        try:
            for image, future in zip(images, futures, strict=True):
                fetched = future.result()
                if isinstance(fetched, str):
                    logger.warning("%s: %s", image.isic_id, fetched)
                    progress.failed[image.isic_id] = fetched
                    progress.in_a_row += 1
                    if progress.in_a_row >= MOST_FAILURES:
                        raise RunError(
                            f"{MOST_FAILURES} images one after the other failed, the last: {fetched}"
                        )
                else:
                    progress.in_a_row = 0
                    progress.new += fetched is not known.get(image.isic_id)
                    progress.fetched[image.isic_id] = fetched
                advance(1)
        except BaseException:
            client.stopped.set()  # nobody waits for retries any more
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(
    client: Client, folder: Path, image: ArchiveImage, known: Fetched | None, journal: Journal
) -> Fetched | str:
    """Fetch one image unless it is there; why it cannot be had, if so."""
    if known is not None and (folder / known.file).exists():
        return _as_it_was(folder, image, known)
    try:
        data = _read(client, image)
        suffix = SUFFIXES[identify(data)]
    except Refused as refused:
        return f"its file {refused}"
    except ImageRejected as rejected:
        return f"its file is no image: {rejected.detail}"
    except RunError as error:
        if client.stopped.is_set():
            raise
        return str(error)
    fetched = Fetched(
        image.isic_id,
        f"{IMAGES}/{image.isic_id}{suffix}",
        len(data),
        hashlib.sha256(data).hexdigest(),
        image.licence,
        image.attribution,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        if not create_bytes(str(folder / fetched.file), data):
            there = hashlib.sha256((folder / fetched.file).read_bytes()).hexdigest()
            if there != fetched.sha256:
                return f"{folder / fetched.file} is there already and is another file; move it away"
        journal.add(fetched)
    except (OSError, SkinmlError) as error:
        raise RunError(f"{error}; free space on the disk, and run the same command again") from error
    return fetched


def _read(client: Client, image: ArchiveImage) -> bytes:
    try:
        return client.read_file(image.url, image.size_bytes, MAX_OBJECT_BYTES)
    except Refused as refused:
        if refused.status not in (401, 403, 404):
            raise
        fresh = ask_again(client, image.isic_id)  # addresses are valid for some hours
        return client.read_file(fresh.url, fresh.size_bytes, MAX_OBJECT_BYTES)


def _as_it_was(folder: Path, image: ArchiveImage, known: Fetched) -> Fetched | str:
    """Check a file of an earlier run. Its hash is compared, as a disk may have damaged it."""
    path = folder / known.file
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != known.sha256:
            return f"{path} has changed since it was fetched; delete it, and run the same command again"
    if image.size_bytes is not None and image.size_bytes != known.size_bytes:
        return f"the archive has another file by now; delete {path}, and run the same command again"
    return known


def _remove_parts(folder: Path) -> None:
    """Remove parts of files of a killed run: `storage.objects` gives them names with a dot at the start."""
    for entry in os.scandir(folder):
        if entry.name.startswith(".ISIC_") and entry.is_file(follow_symlinks=False):
            Path(entry.path).unlink(missing_ok=True)
