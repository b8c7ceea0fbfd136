"""Trace a row of `scores` to where it came from: the image's bytes, the file of the row, its training data."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import pyarrow.compute as pc

from skinml import tables
from skinml.models.manifest import Manifest
from skinml.records.etags import plain_etag
from skinml.storage.objects import MAX_OBJECT_BYTES, read_many
from skinml.strict_json import printable

BytesNow = Literal["same", "changed", "missing", "unknown"]


@dataclass(frozen=True)
class Source:
    """The image's bytes as they are now, against those that were scored.

    Attributes:
        state: `same`: their SHA-256 is that of the row; `changed`: it is not; `missing`: they cannot be read;
            `unknown`: the row has no SHA-256 to compare with.
        sha256: of the bytes now; None if they are missing.
        sentence: the same for people.
        data: the bytes, unless they are missing or others than those that were scored.

    """

    state: BytesNow
    sha256: str | None
    sentence: str
    data: bytes | None


def read_source(row: dict[str, Any]) -> Source:
    """Read the image that a row of `scores` is about, and compare it with what was scored."""
    size = row["size_bytes"] or 0
    if size > MAX_OBJECT_BYTES:
        return Source("missing", None, f"The row says that the image has {size:,} bytes: it is not read.", None)
    [read] = read_many([row["uri"]], [size])
    if read.data is None:
        error = printable(read.error or "unreadable")
        return Source("missing", None, f"The image cannot be read now: {error}.", None)
    found = sha256(read.data).hexdigest()
    if row["sha256"] is None:
        etag = "the same etag" if read.etag == plain_etag(row["etag"]) else "another etag"
        sentence = f"The row has no SHA-256, it is of an older skinml. The image now has {etag}."
        return Source("unknown", found, sentence, read.data)
    if found != row["sha256"]:
        sentence = (
            f"The image was changed after it was scored: its SHA-256 is now {found[:12]}…, "
            f"the row has {row['sha256'][:12]}…."
        )
        return Source("changed", found, sentence, None)
    return Source("same", found, "The image has the same bytes as when it was scored.", read.data)


def later_failure(workspace: str, row: dict[str, Any]) -> str | None:
    """A sentence if a later version of this image is in the quarantine."""
    columns = ["uri", "reason", "quarantined_at"]
    where = (pc.field("uri") == row["uri"]) & (pc.field("quarantined_at") > row["scored_at"])
    found = [
        one for piece in tables.scan(workspace, "quarantine", columns, where=where) for one in piece.to_pylist()
    ]
    if not found:
        return None
    last = max(found, key=lambda one: one["quarantined_at"])
    return (
        f"A later run could not use this image: {printable(last['reason'])}, {last['quarantined_at']:%Y-%m-%d}."
    )


@dataclass(frozen=True)
class TrainingData:
    """The data that a model version was trained on, and whether this image is among them.

    Attributes:
        key, version: the dataset's folder, and the version of the table `samples`.
        samples: how many there were.
        this_image: image_id, lesion_id, dx and split of the sample with the same bytes, or else with the same
            image_id; None if there is none.
        same_bytes: whether it has the same bytes.

    """

    key: str
    version: int | None
    samples: int | None
    this_image: dict[str, Any] | None
    same_bytes: bool


def training_data(workspace: str, manifest: Manifest, image_id: str, digest: str | None) -> TrainingData:
    """Look up what a version was trained on.

    Args:
        workspace: normalised URL.
        manifest: of the version.
        image_id: of the image.
        digest: SHA-256 of the image's bytes, hexadecimal; None if it is not known.

    Raises:
        SkinmlError: that version of `samples` cannot be read.
    """
    about = manifest.dataset
    key, version, count = (about.get(name) for name in ("key", "version", "samples"))
    version = version if isinstance(version, int) else None
    found: list[dict[str, Any]] = []
    if version is not None:
        rows = tables.read(workspace, "samples", ["image_id", "lesion_id", "dx", "split", "sha256"], at=version)
        same_name = rows.filter(pc.equal(rows["image_id"], image_id)).to_pylist()
        found = [
            *([] if digest is None else rows.filter(pc.equal(rows["sha256"], digest)).to_pylist()),
            *same_name,
        ]
    this_image = found[0] if found else None
    same_bytes = this_image is not None and digest is not None and this_image["sha256"] == digest
    return TrainingData(str(key), version, count if isinstance(count, int) else None, this_image, same_bytes)
