"""Link or copy the images of a plan into their folders, and list what is there."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from skinml.class_folders.folder import LIST
from skinml.class_folders.plan import TO_DO, Plan
from skinml.errors import RunError
from skinml.labels import DIAGNOSES
from skinml.records.export_files import as_text
from skinml.storage.connection import explained
from skinml.storage.folder_listing import file_etag
from skinml.storage.objects import create_bytes, read_many, write_bytes
from skinml.storage.urls import file_path

LINKED, COPIED, MISSING = "linked", "copied", "missing"

NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of file systems that make no hard link here: FAT, some network disks, files of somebody else."""

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}")
"""What `storage.objects` calls a file until it is whole. A killed run may leave one."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Placed:
    """What became of the samples.

    Attributes:
        files: the seven folders and the list.
        counts: images by state: linked, copied, there already, missing, left out.
        missing: why images are missing, by file.
    """

    files: list[str]
    counts: dict[str, int]
    missing: dict[str, str]


def place_images(plan: Plan, link: str, advance: Advance) -> Placed:
    """Make the seven folders and put the images into them.

    A repetition continues an interrupted run. A source that is gone, or has other bytes than the sample, is
    missing: its label may not be that of the new bytes.

    Args:
        plan: from `make_plan`.
        link: hard or copy.
        advance: counts finished images.

    Raises:
        RunError: the file system makes no hard links; the disk is full; the counts do not add up.
    """
    for dx in DIAGNOSES:
        (plan.folder / dx).mkdir(parents=True, exist_ok=True)
        _remove_temporaries(plan.folder / dx, plan.rows["file"])
    states = dict(enumerate(plan.rows["state"]))
    missing: dict[str, str] = {}
    to_do = plan.rows[plan.rows["state"] == TO_DO]
    advance(len(plan.rows) - len(to_do))
    linkable = to_do["uri"].str.startswith("file://") & (link == "hard")
    for number, row in zip(to_do.index[linkable].tolist(), to_do[linkable].to_dict("records"), strict=True):
        why = _link(row, plan.folder / row["file"])
        states[number] = MISSING if why else LINKED
        missing |= {row["file"]: why} if why else {}
        advance(1)
    for number, file, why in _copy(to_do[~linkable], plan.folder):
        states[number] = MISSING if why else COPIED
        missing |= {file: why} if why else {}
        advance(1)
    counts = dict(Counter(states.values()))
    if sum(counts.values()) != len(plan.rows) or TO_DO in counts:
        raise RunError(f"{plan.folder}: {counts} do not add up to {len(plan.rows)} samples; report this")
    _write_list(plan, states)
    folders = [str(plan.folder / dx) for dx in DIAGNOSES]
    return Placed([*folders, str(plan.folder / LIST)], counts, missing)


def _link(row: Mapping[Any, Any], target: Path) -> str:
    """Link one image; the reason if it is missing, "" if not."""
    source = os.path.realpath(file_path(row["uri"]))
    try:
        status = os.stat(source)  # noqa: PTH116 - a name of any bytes
        if file_etag(status) != row["etag"] and _digest(source) != row["sha256"]:
            return "has changed since it was prepared"
    except OSError as error:
        return error.strerror or type(error).__name__
    try:
        os.link(source, target)
    except FileExistsError:
        raise RunError(f"{target}: somebody else has just made it; run the same command again") from None
    except OSError as error:
        if error.errno in NO_LINKS:
            raise RunError(
                f"{target}: no hard link to {source} can be made here ({error.strerror}); give --link copy"
            ) from error
        with explained(str(target)):
            raise
    return ""


def _digest(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - a name of any bytes
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(rows: pd.DataFrame, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Copy images, reading ahead; yield the row's number, its file, and why it is missing ("" if it is not)."""
    reads = read_many(rows["uri"].tolist(), rows["size_bytes"].tolist())
    for number, row, read in zip(rows.index.tolist(), rows.to_dict("records"), reads, strict=True):
        file = str(row["file"])
        if read.data is None:
            yield number, file, read.error or "unreadable"
        elif isinstance(row["sha256"], str) and hashlib.sha256(read.data).hexdigest() != row["sha256"]:
            yield number, file, "has changed since it was prepared"
        elif not create_bytes(str(folder / file), read.data):
            raise RunError(f"{folder / file}: somebody else has just made it; run the same command again")
        else:
            yield number, file, ""


def _remove_temporaries(folder: Path, files: pd.Series[str]) -> None:
    """Remove what a killed run has left: parts of files of this plan, under names that only we give."""
    found = [(entry.path, match["name"]) for entry in os.scandir(folder) if (match := _match(entry.name))]
    if found:
        planned = set(files)
        for path, name in found:
            if f"{folder.name}/{name}" in planned:
                Path(path).unlink(missing_ok=True)


def _match(name: str) -> re.Match[str] | None:
    return _TEMPORARY.fullmatch(name)


def _write_list(plan: Plan, states: Mapping[int, str]) -> None:
    columns = plan.rows[["image_id", "dx", "file", "uri", "sha256"]].assign(state=list(states.values()))
    schema = pa.schema([(name, pa.string()) for name in columns.columns])
    table = pa.Table.from_pandas(columns, schema, preserve_index=False)
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(as_text(table), buffer)
    write_bytes(str(plan.folder / LIST), buffer.getvalue())
