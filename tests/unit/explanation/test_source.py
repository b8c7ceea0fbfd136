"""Tests of skinml/explanation/source.py: bytes now against bytes then, later failures, training data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.explanation.source import later_failure, read_source, training_data
from skinml.models.manifest import Manifest
from skinml.schemas import QUARANTINE, SAMPLES
from skinml.storage.urls import as_uri
from tests.unit.explanation.made import NIGHT, publish_scores, score_row


def test_bytes_are_the_same_changed_missing_or_not_comparable(
    place: str, put: Callable[[str, bytes], None]
) -> None:
    url = f"{place}/ISIC_1.jpg"
    row = score_row(uri=as_uri(url), size_bytes=5, sha256=sha256(b"bytes").hexdigest())
    missing = read_source(row)
    assert (missing.state, missing.data, missing.sha256) == ("missing", None, None)
    assert missing.sentence.startswith("The image cannot be read now: ")
    put(url, b"bytes")
    same = read_source(row)
    assert (same.state, same.data, same.sha256) == ("same", b"bytes", row["sha256"])
    unknown = read_source(row | {"sha256": None})
    assert (unknown.state, unknown.data) == ("unknown", b"bytes")
    assert "no SHA-256, it is of an older skinml. The image now has another etag" in unknown.sentence
    put(url, b"other")
    changed = read_source(row)
    assert (changed.state, changed.data) == ("changed", None)
    assert changed.sentence.startswith("The image was changed after it was scored: its SHA-256 is now ")


def test_a_row_that_claims_a_huge_image_is_not_read() -> None:
    found = read_source(score_row(size_bytes=2**40))
    assert (found.state, found.data) == ("missing", None)


def test_a_later_failure_of_the_same_image_is_said(tmp_path: object) -> None:
    workspace, row = str(tmp_path), score_row()
    assert later_failure(workspace, row) is None
    failures = [
        {"uri": row["uri"], "reason": reason, "quarantined_at": NIGHT + timedelta(hours=hours)}
        for reason, hours in (("empty", -5), ("truncated", 24), ("too_large", 2))
    ]
    tables.append(workspace, "quarantine", pa.Table.from_pylist(failures[:1], QUARANTINE), "one")
    assert later_failure(workspace, row) is None, "that was before it was scored"
    tables.append(workspace, "quarantine", pa.Table.from_pylist(failures, QUARANTINE), "two")
    assert later_failure(workspace, row) == "A later run could not use this image: truncated, 2026-11-25."


def test_the_file_of_a_row_is_found(place: str) -> None:
    files = publish_scores(place, score_row(), score_row("another"), score_row(hours=24, etag="3-4"))
    for image, etag, expected in (
        ("ISIC_0000001", "1-2", 0),
        ("another", "1-2", 1),
        ("ISIC_0000001", "3-4", 2),
    ):
        where = (pc.field("image_id") == image) & (pc.field("etag") == etag)
        assert tables.files_with(place, "scores", where) == [files[expected]]
    assert tables.files_with(place, "scores", pc.field("image_id") == "nobody") == []
    assert tables.files_with(place, "quarantine", pc.field("uri") == "nobody") == []


def manifest(**dataset: Any) -> Manifest:
    return Manifest.model_validate(
        {
            "name": "thesis-cnn",
            "version": "v1",
            "created_at": "2026-11-24T02:00:00+00:00",
            "run_id": "train-1",
            "protocol": "grouped",
            "class_order": [],
            "preprocessing": {"size": 32},
            "dataset": dataset,
            "parameters": {},
            "libraries": {},
            "files": {},
        }
    )


def test_an_image_of_the_training_data_is_known_by_its_bytes_in_that_version(tmp_path: object) -> None:
    workspace = str(tmp_path)
    sample = {"image_id": "ISIC_5", "lesion_id": "HAM_1", "dx": "mel", "split": "train", "sha256": "a" * 64}
    tables.append(workspace, "samples", pa.Table.from_pylist([sample], SAMPLES), "one")
    later = sample | {"image_id": "ISIC_6", "sha256": "b" * 64}
    tables.append(workspace, "samples", pa.Table.from_pylist([later], SAMPLES), "two")
    version = tables.version(workspace, "samples")
    assert version is not None
    about = manifest(key="32px", version=version - 1, samples=1)
    found = training_data(workspace, about, "x", "a" * 64)
    assert (found.key, found.version, found.samples) == ("32px", version - 1, 1)
    assert (found.this_image, found.same_bytes) == (sample, True)
    resized = training_data(workspace, about, "ISIC_5", "c" * 64)
    assert (resized.this_image, resized.same_bytes) == (sample, False), "the same image in another size"
    assert training_data(workspace, about, "x", "b" * 64).this_image is None, "it came later"
    assert training_data(workspace, about, "x", None).this_image is None


def test_a_manifest_that_says_nothing_of_its_data_is_no_trouble(tmp_path: object) -> None:
    found = training_data(str(tmp_path), manifest(key=None, version="newest"), "x", "a" * 64)
    assert (found.version, found.samples, found.this_image) == (None, None, None)
