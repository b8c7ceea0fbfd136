"""Records of uncommitted parts, so that a later run can take over the rows of an interrupted one.

A record is a small JSON file below `unpublished/`, one for each part. Deleting it is always safe: its images
are then scored again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from pydantic import TypeAdapter

from skinml.layout import unpublished_parts_url
from skinml.storage.objects import read_many, write_bytes
from skinml.storage.removal import delete
from skinml.storage.tree import walk
from skinml.storage.urls import as_uri
from skinml.strict_json import parse_json
from skinml.tables import Part

logger = logging.getLogger("skinml.resume")

MOST_BYTES = 2**20
"""The largest record that is read; ours have half a kilobyte."""

Table = Literal["scores", "quarantine"]


@dataclass(frozen=True)
class Origin:
    """What a row depends on besides its image. A run takes rows over only if its own origin is equal."""

    flow: str
    model_name: str
    model_version: str
    precision: str
    onnx_sha256: str
    skinml_version: str


@dataclass(frozen=True)
class Record:
    """The record of one part that a worker has written: its table, file and origin."""

    table: Table
    part: Part
    origin: Origin


_JSON = TypeAdapter(Record)


def write_record(workspace: str, run_id: str, record: Record) -> None:
    """Write the record of a part, after the part is complete."""
    name = f"{record.part.name.removeprefix(f'{run_id}-')}-{record.table}.json"
    write_bytes(f"{unpublished_parts_url(workspace, run_id)}/{name}", _JSON.dump_json(record))


def read_records(workspace: str) -> Iterator[tuple[str, Record]]:
    """Yield all records with their URLs; skip and log those that cannot be read.

    If there are none, this costs one listing.
    """
    urls = [url for url in record_urls(workspace) if url.endswith(".json")]
    for url, read in zip(urls, read_many(map(as_uri, urls)), strict=True):
        if read.data is None:  # most likely its run has committed and deleted it
            logger.warning("%s is skipped, its images are scored again: %s", url, read.error)
            continue
        try:
            if len(read.data) > MOST_BYTES:
                raise ValueError(f"it has {len(read.data):,} bytes")
            record = parse_json(_JSON, read.data)
        except ValueError as error:
            logger.warning("%s is skipped, it is not the record of a part: %s", url, error)
            continue
        if not _is_inside(record.part.path):
            logger.warning("%s is skipped: it names %.300r, which is not a part", url, record.part.path)
            continue
        yield url, record


def _is_inside(path: str) -> bool:
    """Whether a part's path stays in its table's folder; a record may contain any text."""
    return "\0" not in path and not {"", ".", ".."} & set(unquote(path).split("/"))


def record_urls(workspace: str, run_id: str | None = None) -> list[str]:
    """Return the URLs of all records or of one run's, including the unfinished files of a killed writer.

    One flat listing, because some S3 servers show a run's folder long after its last object was deleted.
    """
    base = unpublished_parts_url(workspace)
    runs = ((path, path.partition("/")) for path in sorted(walk(base)))
    return [f"{base}/{path}" for path, (run, _, name) in runs if name and run_id in (None, run)]


def run_of(url: str) -> str:
    """Return the run_id in a record's URL."""
    return url.split("/")[-2]


def delete_records(workspace: str, run_id: str, spent: Sequence[str]) -> None:
    """Delete a run's own records after its commit, and other runs' records that are not needed any more."""
    delete([*record_urls(workspace, run_id), *spent])


def delete_failures(workspace: str) -> None:
    """Delete the records of images that could not be used, so that the next run tries all of them again."""
    delete(url for url in record_urls(workspace) if url.endswith("-quarantine.json"))
