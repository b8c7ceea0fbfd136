"""Find the new images: compare the listing with the ledger, piece by piece, and write them to a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skinml.schemas import LISTING
from skinml.scoring.ledger import Keys, Known, Ledger, hash_keys, hash_uris, look_up_places
from skinml.storage.listing import Listed

ROWS_AT_ONCE = 16_384
"""Rows of the listing that are looked up and written at once."""


@dataclass(frozen=True)
class Window:
    """Which new images to score: modified at or after `since` and before `until`, at most `limit`."""

    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Pending:
    """The images to score, in a Parquet file with the columns of LISTING, and the counts of the listing.

    Attributes:
        path: the file.
        images: number of rows in the file.
        listed: image objects in the archive, each counted once.
        skipped: of the listed, those that are known or not wanted.
        outside_window: of the skipped, those that are new (or to be rechecked) but outside the window.
        beyond_limit: of the skipped, those that are new (or to be rechecked) but beyond the limit.
        other_bytes: image versions that are in the tables with another size, columns of LISTING.
        by_others: of the listed, those that only other counted models have scored: earlier champions.
        passed_over: objects that are not images, by kind, as in `Listed`.
    """

    path: Path
    images: int
    listed: int
    skipped: int
    outside_window: int
    beyond_limit: int
    other_bytes: pa.Table
    by_others: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def ignored(self) -> int:
        """How many objects are not images."""
        return self.passed_over.total()

    def read(self, rows: int) -> Iterator[pa.Table]:
        """Yield the images, `rows` at a time."""
        with pq.ParquetFile(self.path) as file:
            # pyarrow 18 raises on a file without row groups
            for batch in file.iter_batches(rows) if self.images else ():
                yield pa.Table.from_batches([batch])


def find_pending(
    listing: Iterable[Listed], ledger: Ledger, window: Window, path: Path, recheck: bool = False
) -> Pending:
    """Write the images that have no row yet to `path`; with `recheck` all images in the window.

    If an archive changes while it is listed, the listing may contain an object twice. Only the first entry
    counts; the bytes are those found when the object is read.
    """
    names = ("images", "listed", "skipped", "outside_window", "beyond_limit", "by_others")
    counts = dict.fromkeys(names, 0)
    other_bytes = [LISTING.empty_table()]
    seen: list[Keys] = []
    passed_over: Counter[str] = Counter()
    with pq.ParquetWriter(path, LISTING, compression="lz4") as writer:
        for rows, kinds in _gathered(listing):
            keys, sizes = hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy()
            answer, places = look_up_places(ledger, keys, sizes)
            new = rows if recheck else rows.filter(pa.array(answer == Known.NEW))
            other = (answer == Known.OTHER_BYTES) & (not recheck)
            other_bytes.append(rows.filter(pa.array(other)))
            wanted = _within(new, window)
            room = None if window.limit is None else max(0, window.limit - counts["images"])
            taken = wanted.slice(0, room)
            seen.append(hash_uris(taken["uri"]))
            writer.write_table(taken)
            counts["images"] += len(taken)
            counts["listed"] += len(rows)
            counts["by_others"] += int((places > 0).sum())
            counts["outside_window"] += len(new) - len(wanted)
            counts["beyond_limit"] += len(wanted) - len(taken)
            counts["skipped"] += len(rows) - int(other.sum()) - len(taken)
            passed_over += kinds
    pending = Pending(path, **counts, other_bytes=pa.concat_tables(other_bytes), passed_over=passed_over)
    repeated = _repeated(np.concatenate([np.empty((0, 2), np.uint64), *seen]))
    return _without(pending, repeated) if len(repeated) else pending


def _gathered(listing: Iterable[Listed]) -> Iterator[tuple[pa.Table, Counter[str]]]:
    """Join pieces of a listing to at least ROWS_AT_ONCE rows, with the counts of what they passed over."""
    batches: list[pa.RecordBatch] = []
    rows = 0
    kinds: Counter[str] = Counter()
    for piece in listing:
        batches.append(piece.images)
        rows += piece.images.num_rows
        kinds += piece.passed_over
        if rows >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(batches, LISTING), kinds
            batches, rows, kinds = [], 0, Counter()
    if batches:
        yield pa.Table.from_batches(batches, LISTING), kinds


def _within(rows: pa.Table, window: Window) -> pa.Table:
    """Return the rows that were modified within the window."""
    modified = rows["last_modified"]
    if window.since is not None:
        rows = rows.filter(pc.greater_equal(modified, pa.scalar(window.since, modified.type)))
    if window.until is not None:
        modified = rows["last_modified"]
        rows = rows.filter(pc.less(modified, pa.scalar(window.until, modified.type)))
    return rows


def _repeated(keys: Keys) -> NDArray[np.int64]:
    """Return the positions of keys that repeat an earlier key."""
    if len(np.unique(keys[:, 0])) == len(keys):  # 0.1 s a million; whole rows take ten times longer
        return np.empty(0, np.int64)
    _, firsts = np.unique(keys, axis=0, return_index=True)
    return np.setdiff1d(np.arange(len(keys)), firsts)


def _without(pending: Pending, positions: NDArray[np.int64]) -> Pending:
    """Remove these rows from the file and from the counts."""
    path = pending.path.with_name(f"once-{pending.path.name}")
    start = 0
    with pq.ParquetWriter(path, LISTING, compression="lz4") as writer:
        for rows in pending.read(ROWS_AT_ONCE):
            kept = ~np.isin(np.arange(start, start + len(rows)), positions)
            writer.write_table(rows.filter(pa.array(kept)))
            start += len(rows)
    fewer = len(positions)
    return replace(pending, path=path, images=pending.images - fewer, listed=pending.listed - fewer)
