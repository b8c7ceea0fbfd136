"""Compare the samples with the folders of the diagnoses, and decide what to do with each image.

It reads and writes nothing but file statuses, and the bytes of files that are no links to their sources.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skinml import tables
from skinml.class_folders.folder import check_folder, nearest
from skinml.class_folders.names import file_names, may_name_a_patient
from skinml.dataset.samples import samples_version
from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.storage.urls import file_path, is_below

COLUMNS = ("image_id", "dx", "uri", "etag", "size_bytes", "sha256")

LEFT_OUT, THERE, TO_DO = "left out", "there already", "to do"

NAMED = 3
"""How many files an error names."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What to do with each sample.

    Attributes:
        folder: the folder of the seven folders.
        rows: one row per sample: COLUMNS, `file` (its path below `folder`) and `state`, one of LEFT_OUT, THERE
            and TO_DO.
        version: the version of `samples`.
    """

    folder: Path
    rows: pd.DataFrame
    version: int


def make_plan(workspace: str, out: str, link: str) -> Plan:
    """Decide for all samples of a workspace. Nothing is written.

    Args:
        workspace: normalised URL.
        out: the folder, as the user wrote it.
        link: hard or copy.

    Raises:
        RequestError: there are no samples; the folder is a file, in a bucket, inside the workspace's own
            folders or among the sources; it has other files under the same names, or images in the folder of
            another diagnosis; hard links would have to lead to another disk.
    """
    version = samples_version(workspace)
    folder = check_folder(workspace, out)
    rows = tables.read(workspace, "samples", COLUMNS, at=version).to_pandas()
    if rows.empty:
        raise RequestError(f"{workspace}: its table samples is empty; run skinml prepare again")
    rows = rows.sort_values(["image_id", "uri"], ignore_index=True)
    rows["file"] = rows["dx"] + "/" + pd.Series(file_names(rows["image_id"], rows["uri"]), dtype="str")
    _refuse_among_sources(folder, rows["uri"], out)
    _refuse_other_diagnoses(folder, rows)
    states, conflicts = [], []
    for row in rows.itertuples():
        target = folder / str(row.file)
        if may_name_a_patient(str(row.uri)):
            states.append(LEFT_OUT)
        elif not os.path.lexists(target):
            states.append(TO_DO)
        else:
            states.append(THERE)
            if not is_same_image(target, str(row.uri), int(row.size_bytes), row.sha256):
                conflicts.append(str(row.file))
    if conflicts:
        raise RequestError(
            f"--out {out}: {len(conflicts)} files are there already and are other files "
            f"({_some(conflicts)}); nothing is overwritten: give another folder, or move them away"
        )
    rows["state"] = states
    if link == "hard":
        _refuse_other_disk(folder, rows.loc[rows["state"] == TO_DO, "uri"], out)
    return Plan(folder, rows, version)


def is_same_image(target: Path, uri: str, size_bytes: int, sha256: str | None) -> bool:
    """Whether a file is the image of a sample: a link to its source, or the same bytes.

    Args:
        target: the file.
        uri: the sample's source.
        size_bytes: of the sample.
        sha256: of the sample, hexadecimal; None in rows of an old skinml, then only a link is the same.
    """
    try:
        found = target.stat()
        if uri.startswith("file://") and os.path.samestat(found, os.stat(file_path(uri))):  # noqa: PTH116
            return True
        if not target.is_file() or found.st_size != size_bytes or not isinstance(sha256, str):
            return False
        return hashlib.sha256(target.read_bytes()).hexdigest() == sha256
    except OSError:  # a source that is gone, a target that cannot be read
        if not isinstance(sha256, str):
            return False
        try:
            return hashlib.sha256(target.read_bytes()).hexdigest() == sha256
        except OSError:
            return False


def _refuse_among_sources(folder: Path, uris: pd.Series[str], out: str) -> None:
    """Refuse a folder below one that images are prepared from: the next `prepare` would list each twice."""
    for parent in sorted({uri.rpartition("/")[0] for uri in uris if uri.startswith("file://")}):
        source = file_path(f"{parent}/").rstrip("/")
        if str(folder) == source or is_below(str(folder), source):
            raise RequestError(
                f"--out {out}: is inside {source}, whose images are prepared: they would be listed twice; give "
                "a folder elsewhere"
            )


def _refuse_other_diagnoses(folder: Path, rows: pd.DataFrame) -> None:
    """Refuse a folder with an image under another diagnosis than its label: labels were corrected since."""
    dx_of = dict(zip((str(file).partition("/")[2] for file in rows["file"]), rows["dx"], strict=True))
    wrong = [
        f"{dx}/{name}, now {dx_of[name]}"
        for dx in DIAGNOSES
        for name in _files(folder / dx)
        if name in dx_of and dx_of[name] != dx
    ]
    if wrong:
        raise RequestError(
            f"--out {folder}: {len(wrong)} images are in the folder of another diagnosis than their label "
            f"({_some(wrong)}); delete these files, or give another folder"
        )


def _files(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from (entry.name for entry in os.scandir(folder))


def _refuse_other_disk(folder: Path, uris: pd.Series[str], out: str) -> None:
    """Refuse hard links between two disks, before anything is written."""
    own = nearest(folder).stat().st_dev
    for uri in uris[uris.str.startswith("file://")]:
        try:
            device = os.stat(file_path(uri)).st_dev  # noqa: PTH116 - a name of any bytes
        except OSError:  # missing, which is counted later
            continue
        if device != own:
            raise RequestError(
                f"--out {out}: is on another disk than {file_path(uri)}, and hard links cannot lead there; "
                "give --link copy, or a folder on the same disk"
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown}, ..." if len(names) > NAMED else shown
