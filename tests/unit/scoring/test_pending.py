"""Tests of skinml/scoring/pending.py: what has no row yet, in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.schemas import LISTING
from skinml.scoring import pending as module
from skinml.scoring.ledger import Versions, hash_keys, make_ledger
from skinml.scoring.pending import Pending, Window, find_pending
from skinml.storage.listing import Listed
from tests.effort import examples

Object = tuple[str, str]
"""uri and etag."""

NIGHT = datetime(2026, 11, 1, tzinfo=UTC)
OBJECTS = st.tuples(st.sampled_from([f"s3://x/{number}.jpg" for number in range(8)]), st.sampled_from("ab"))


def rows_of(objects: list[Object], size_bytes: int = 3) -> pa.Table:
    """As a listing has them, each a day younger than the one before."""
    return pa.Table.from_pylist(
        [
            {"uri": uri, "etag": etag, "size_bytes": size_bytes, "last_modified": NIGHT + timedelta(days=day)}
            for day, (uri, etag) in enumerate(objects)
        ],
        schema=LISTING,
    )


def pages(listing: pa.Table, size: int = 3) -> Iterator[Listed]:
    """The listing in pieces, each of which ignored one object."""
    for start in range(0, max(1, len(listing)), size):
        piece = listing.slice(start, size).combine_chunks().to_batches()
        yield Listed(piece[0] if piece else pa.RecordBatch.from_pylist([], LISTING), Counter(other=1))


def pending(listed: list[Object], known: list[Object], folder: Path, window: Window | None = None) -> Pending:
    rows = rows_of(known)
    ledger = make_ledger([Versions(hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())])
    return find_pending(pages(rows_of(listed)), ledger, window or Window(), folder / "pending.parquet")


def images(found: Pending) -> list[Object]:
    pairs = [(row["uri"], row["etag"]) for piece in found.read(2) for row in piece.to_pylist()]
    assert len(pairs) == found.images
    return pairs


A, B, C = (("s3://x/a.jpg", "1"), ("s3://x/b.jpg", "1"), ("s3://x/c.jpg", "1"))


def test_what_is_known_is_skipped_and_the_rest_is_as_it_was_listed(tmp_path: Path) -> None:
    found = pending([C, B, A], [B], tmp_path)
    assert images(found) == [C, A]
    assert (found.listed, found.skipped, found.ignored) == (3, 1, 1)
    [piece] = found.read(10)
    assert piece.schema == LISTING


def test_an_etag_counts_only_with_its_uri(tmp_path: Path) -> None:
    assert images(pending([A, B], [(A[0], "2"), ("s3://x/z.jpg", "1")], tmp_path)) == [A, B]


def test_nothing_listed_is_nothing_pending(tmp_path: Path) -> None:
    found = pending([], [A], tmp_path)
    assert (images(found), found.listed, found.skipped) == ([], 0, 0)


def test_a_known_etag_with_another_size_is_neither_new_nor_skipped(tmp_path: Path) -> None:
    rows = rows_of([A, B], size_bytes=99)
    ledger = make_ledger([Versions(hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())])
    found = find_pending(pages(rows_of([A, C])), ledger, Window(), tmp_path / "pending.parquet")
    assert images(found) == [C]
    assert found.other_bytes["uri"].to_pylist() == [A[0]]
    assert (found.listed, found.skipped) == (2, 0)


def test_an_object_that_is_listed_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it happens where something is put while S3 is asked for page after page."""
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    newer = (A[0], "2")
    found = pending([A, B, C, newer, B], [], tmp_path)
    assert images(found) == [A, B, C]
    assert (found.listed, found.skipped) == (3, 0)


def test_a_window_and_a_limit_leave_the_rest_for_another_run(tmp_path: Path) -> None:
    objects = [(f"s3://x/{day}.jpg", "1") for day in range(10)]
    window = Window(since=NIGHT + timedelta(days=2), until=NIGHT + timedelta(days=8), limit=4)
    found = pending(objects, [objects[3]], tmp_path, window)
    assert images(found) == [objects[day] for day in (2, 4, 5, 6)]
    assert (found.listed, found.skipped, found.outside_window, found.beyond_limit) == (10, 6, 4, 1)


def test_a_recheck_takes_known_images_too_as_far_as_the_window_and_the_limit_go(tmp_path: Path) -> None:
    objects = [(f"s3://x/{day}.jpg", "1") for day in range(10)]
    rows = rows_of(objects[:8])
    ledger = make_ledger([Versions(hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())])
    window = Window(since=NIGHT + timedelta(days=2), limit=7)
    found = find_pending(pages(rows_of(objects)), ledger, window, tmp_path / "pending.parquet", recheck=True)
    assert images(found) == objects[2:9]
    assert (found.listed, found.skipped, found.outside_window, found.beyond_limit) == (10, 3, 2, 1)


@settings(max_examples=examples(60), derandomize=True, deadline=None)
@given(st.lists(OBJECTS, unique_by=lambda row: row[0]), st.lists(OBJECTS))
def test_every_listed_image_is_skipped_or_pending(listed: list[Object], known: list[Object]) -> None:
    with TemporaryDirectory() as folder:
        found = pending(listed, known, Path(folder))
        assert images(found) == [row for row in listed if row not in known]
        assert found.listed == len(listed) == found.skipped + found.images
        assert images(pending(listed, known + images(found), Path(folder))) == []
