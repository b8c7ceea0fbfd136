"""Records of what a run has scored and not committed yet, one for each part: what a later run can take over.

A record is a small JSON file below `unpublished/`. To delete one is always safe: its images are scored again.
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
"""A record has half a kilobyte."""

Table = Literal["scores", "quarantine"]


@dataclass(frozen=True)
class Origin:
    """What a row depends on beside its image: only a run for which all of it is equal takes rows over."""

    flow: str
    model_name: str
    model_version: str
    precision: str
    onnx_sha256: str
    skinml_version: str


@dataclass(frozen=True)
class Record:
    """One part that a worker has written: of which table, and where its rows come from."""

    table: Table
    part: Part
    origin: Origin


_JSON = TypeAdapter(Record)


def write_record(workspace: str, run_id: str, record: Record) -> None:
    """Say that this part is whole, once it is."""
    name = f"{record.part.name.removeprefix(f'{run_id}-')}-{record.table}.json"
    write_bytes(f"{unpublished_parts_url(workspace, run_id)}/{name}", _JSON.dump_json(record))


def read_records(workspace: str) -> Iterator[tuple[str, Record]]:
    """All records with their URLs. One that cannot be read is logged and left out.

    Where there are none, this costs one listing.
    """
    urls = [url for url in record_urls(workspace) if url.endswith(".json")]
    for url, read in zip(urls, read_many(map(as_uri, urls)), strict=True):
        if read.data is None:  # its run has committed and deleted it, most likely
            logger.warning("%s is left out: %s", url, read.error)
            continue
        try:
            if len(read.data) > MOST_BYTES:
                raise ValueError(f"it has {len(read.data):,} bytes")
            record = parse_json(_JSON, read.data)
        except ValueError as error:
            logger.warning("%s is not a record of a part and is left out: %s", url, error)
            continue
        if not _is_inside(record.part.path):
            logger.warning("%s is left out: it names %.300r, which is no part", url, record.part.path)
            continue
        yield url, record


def _is_inside(path: str) -> bool:
    """Whether a part's path stays in its table's folder: any text may stand in a record."""
    return "\0" not in path and not {"", ".", ".."} & set(unquote(path).split("/"))


def record_urls(workspace: str, run_id: str | None = None) -> list[str]:
    """The URLs of all records, or of one run's. With them what a killed writer left half done.

    One listing: some S3 servers show a run's folder long after its last object was deleted.
    """
    base = unpublished_parts_url(workspace)
    runs = ((path, path.partition("/")) for path in sorted(walk(base)))
    return [f"{base}/{path}" for path, (run, _, name) in runs if name and run_id in (None, run)]


def run_of(url: str) -> str:
    """The run whose record this is."""
    return url.split("/")[-2]


def delete_records(workspace: str, run_id: str, spent: Sequence[str]) -> None:
    """Delete a run's own records once it has committed, and those of others that are of no use any more."""
    delete([*record_urls(workspace, run_id), *spent])


def delete_failures(workspace: str) -> None:
    """Delete the records of images that could not be used, so that the next run tries all of them again."""
    delete(url for url in record_urls(workspace) if url.endswith("-quarantine.json"))
