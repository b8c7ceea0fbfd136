"""What is new: the listing of an archive less the ledger, piece by piece, kept in a file until it is scored."""

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
from skinml.scoring.ledger import Keys, Known, Ledger, hash_keys, hash_uris, look_up
from skinml.storage.listing import Listed

ROWS_AT_ONCE = 16_384
"""Rows of the listing that are looked up and written together."""


@dataclass(frozen=True)
class Window:
    """Which of the new images are wanted: last modified from `since` on and before `until`, so many at most."""

    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Pending:
    """Images to score, in a Parquet file with the columns of LISTING, and the counts around them.

    Attributes:
        path: the file.
        images: its rows.
        listed: image objects in the archive, each once.
        skipped: of these: known, or not wanted.
        outside_window: of the skipped: new, or to be checked again, but modified before or after what was
            asked for.
        beyond_limit: of the skipped: likewise, but more than was asked for.
        other_bytes: image versions that are in the tables with another size, columns of LISTING.
        passed_over: objects that are no images, by kind, as `Listed` has them.
    """

    path: Path
    images: int
    listed: int
    skipped: int
    outside_window: int
    beyond_limit: int
    other_bytes: pa.Table
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def ignored(self) -> int:
        """How many objects are no images."""
        return self.passed_over.total()

    def read(self, rows: int) -> Iterator[pa.Table]:
        """The images, so many at a time."""
        with pq.ParquetFile(self.path) as file:
            # pyarrow 18 raises on a file without row groups
            for batch in file.iter_batches(rows) if self.images else ():
                yield pa.Table.from_batches([batch])


def find_pending(
    listing: Iterable[Listed], ledger: Ledger, window: Window, path: Path, recheck: bool = False
) -> Pending:
    """Write to `path` what has no row yet; with `recheck` everything that the window wants.

    A listing that changes while it is read may name an object twice: its first naming counts, and what its
    bytes are by then is found out when they are read.
    """
    counts = dict.fromkeys(("images", "listed", "skipped", "outside_window", "beyond_limit"), 0)
    other_bytes = [LISTING.empty_table()]
    seen: list[Keys] = []
    passed_over: Counter[str] = Counter()
    with pq.ParquetWriter(path, LISTING, compression="lz4") as writer:
        for rows, kinds in _gathered(listing):
            answer = look_up(ledger, hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())
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
            counts["outside_window"] += len(new) - len(wanted)
            counts["beyond_limit"] += len(wanted) - len(taken)
            counts["skipped"] += len(rows) - int(other.sum()) - len(taken)
            passed_over += kinds
    pending = Pending(path, **counts, other_bytes=pa.concat_tables(other_bytes), passed_over=passed_over)
    repeated = _repeated(np.concatenate([np.empty((0, 2), np.uint64), *seen]))
    return _without(pending, repeated) if len(repeated) else pending


def _gathered(listing: Iterable[Listed]) -> Iterator[tuple[pa.Table, Counter[str]]]:
    """Pieces of a listing put together until there is enough to look up at once, with what they passed over."""
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
    """The rows that were modified within the window."""
    modified = rows["last_modified"]
    if window.since is not None:
        rows = rows.filter(pc.greater_equal(modified, pa.scalar(window.since, modified.type)))
    if window.until is not None:
        modified = rows["last_modified"]
        rows = rows.filter(pc.less(modified, pa.scalar(window.until, modified.type)))
    return rows


def _repeated(keys: Keys) -> NDArray[np.int64]:
    """The positions of keys that were there before."""
    if len(np.unique(keys[:, 0])) == len(keys):  # in 0.1 s a million; whole rows take ten times that
        return np.empty(0, np.int64)
    _, firsts = np.unique(keys, axis=0, return_index=True)
    return np.setdiff1d(np.arange(len(keys)), firsts)


def _without(pending: Pending, positions: NDArray[np.int64]) -> Pending:
    """The same without these rows of the file, which are not listed images of their own."""
    path = pending.path.with_name(f"once-{pending.path.name}")
    start = 0
    with pq.ParquetWriter(path, LISTING, compression="lz4") as writer:
        for rows in pending.read(ROWS_AT_ONCE):
            kept = ~np.isin(np.arange(start, start + len(rows)), positions)
            writer.write_table(rows.filter(pa.array(kept)))
            start += len(rows)
    fewer = len(positions)
    return replace(pending, path=path, images=pending.images - fewer, listed=pending.listed - fewer)
