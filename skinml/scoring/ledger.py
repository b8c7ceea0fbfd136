"""The ledger of known image versions: a 128-bit hash of (uri, etag) and a size for each.

A listing is compared with the tables by these hashes, piece by piece. A million known images take 24 MB (26 MB
if rows of several models count), and their names are never all in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.util import hash_array

from skinml import tables
from skinml.process.memory import release_memory
from skinml.records.etags import with_plain_etags
from skinml.records.quarantine import RETRIED
from skinml.scoring.counted import PLACE, Model, Places, of_models
from skinml.storage.spelling import Folders, resolve_rows
from skinml.tables import Snapshot

Number = TypeVar("Number", np.uint64, np.int64, np.uint16)

Keys = NDArray[np.uint64]
"""Hashed (uri, etag) pairs, (n, 2)."""

SECRETS = (secrets.token_hex(8), secrets.token_hex(8))
"""The hash keys of the two halves, drawn anew in each process so that nobody can construct a name that
collides. With a million listed and a million known images, the probability of a collision is 3e-27; with 64
bits it would be 5e-8, and it would go unnoticed."""

JOINED_AT_ONCE = 262_144
"""Rows of several models that are gathered before they are joined, so that an image is held once."""

FLOWS = ("score", "replay")
"""Flows that quarantine images of an archive; rows of `prepare` do not count here."""


class Known(IntEnum):
    """Whether the ledger knows an image version."""

    NEW = 0
    KNOWN = 1
    OTHER_BYTES = 2  # the same uri and etag with another size: storage has used one etag twice


class Versions(NamedTuple):
    """Image versions: their keys, their sizes, and whose rows they are; without places, all are our own."""

    keys: Keys
    size_bytes: NDArray[np.int64]
    places: Places | None = None


@dataclass(frozen=True, eq=False)
class Ledger:
    """Known image versions, sorted by the first halves of their keys.

    Attributes:
        first: first halves of the keys, uint64 (n,), ascending.
        second: second halves, uint64 (n,).
        size_bytes: of the objects, int64 (n,).
        longest: the largest number of keys with the same first half: 1 unless keys are repeated.
        places: the first of the counted models that has a row, uint16 (n,); None if only one model counts.
    """

    first: NDArray[np.uint64]
    second: NDArray[np.uint64]
    size_bytes: NDArray[np.int64]
    longest: int
    places: Places | None = None

    def __len__(self) -> int:
        return len(self.first)


def hash_keys(uris: pa.ChunkedArray, etags: pa.ChunkedArray) -> Keys:
    """Hash each (uri, etag) by SipHash-2-4 under two keys of this process, uint64 (n, 2): 0.3 s a million.

    SipHash: Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012; pandas has it in C. Two
    hashes take a third of the time of one BLAKE2b from Python. uri and etag are joined by a line feed, which no
    etag contains.

    Raises:
        ValueError: a uri or an etag is null.
    """
    text = pc.binary_join_element_wise(uris, etags, "\n").cast(pa.binary())
    if text.null_count:  # pandas would hash them all alike
        raise ValueError(f"{text.null_count} of {len(text)} images have no uri or no etag")
    names = text.to_numpy()
    return np.stack([hash_array(names, hash_key=key, categorize=False) for key in SECRETS], axis=1)


def hash_uris(uris: pa.ChunkedArray) -> Keys:
    """Hash uris alone, as `hash_keys` does."""
    return hash_keys(uris, pa.chunked_array([pa.repeat("", len(uris))]))


def make_ledger(pieces: Iterable[Versions]) -> Ledger:
    """Build a ledger from pieces.

    Columns are joined one after the other and the pieces freed, so it needs at most 40 bytes an image, of which
    24 stay. If several models count, their pieces are joined on the way: the rows of one image by many models
    are held once.
    """
    firsts, seconds, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    places: list[Places] | None = None
    rows = waiting = 0
    for piece in pieces:
        firsts.append(piece.keys[:, 0].copy())  # a view would keep the piece in memory
        seconds.append(piece.keys[:, 1].copy())
        sizes.append(piece.size_bytes)
        if places is None and piece.places is not None:
            places = [np.zeros(rows, np.uint16)]
        if places is not None:
            places.append(np.zeros(len(piece.keys), np.uint16) if piece.places is None else piece.places)
        rows += len(piece.keys)
        waiting += len(piece.keys)
        if places is not None and waiting > max(JOINED_AT_ONCE, len(firsts[0]) // 4):
            _sort(firsts, seconds, sizes, places)
            rows, waiting = len(firsts[0]), 0
    _sort(firsts, seconds, sizes, places)
    return Ledger(
        firsts[0], seconds[0], sizes[0], _longest_run(firsts[0]), None if places is None else places[0]
    )


def _sort(
    firsts: list[NDArray[np.uint64]],
    seconds: list[NDArray[np.uint64]],
    sizes: list[NDArray[np.int64]],
    places: list[Places] | None,
) -> None:
    """Join each list's arrays to one, sorted by the first halves; with places, equal versions become one.

    Equal versions are neighbours, unless one first half has several versions. Such versions may stay more than
    once, which costs memory but is right.
    """
    first = _joined(firsts)
    order = np.argsort(first, kind="stable")
    firsts.append(first[order])
    del first
    seconds.append(_joined(seconds)[order])
    sizes.append(_joined(sizes)[order])
    if places is None:
        return
    places.append(_joined(places)[order])
    del order
    starts = first_of_equal(firsts[0], seconds[0], sizes[0])
    if len(starts) < len(firsts[0]):
        places.append(np.minimum.reduceat(places.pop(), starts))
        firsts.append(firsts.pop()[starts])
        seconds.append(seconds.pop()[starts])
        sizes.append(sizes.pop()[starts])
        release_memory()


def first_of_equal(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Return the positions of rows that differ from the row before, int64; the first row is one of them."""
    differs = np.ones(len(columns[0]), dtype=bool)
    differs[1:] = False
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def _joined(pieces: list[NDArray[Number]]) -> NDArray[Number]:
    """Join the pieces in one array, empty the list, and return its memory to the operating system.

    Otherwise the C library would keep the memory of small pieces: building a ledger of 100 million images took
    6.5 GB instead of 4.1, and a driver that knows a million peaked at 356 MB instead of 318.
    """
    joined = np.concatenate(pieces)
    pieces.clear()
    release_memory()
    return joined


def _longest_run(ascending: NDArray[np.uint64]) -> int:
    """Return the length of the longest run of equal values."""
    repeats = np.flatnonzero(ascending[1:] == ascending[:-1])
    ends = np.flatnonzero(np.diff(repeats, append=-1) != 1)
    return min(len(ascending), 1 + int(np.diff(ends, prepend=-1).max(initial=0)))


def look_up(ledger: Ledger, keys: Keys, size_bytes: NDArray[np.int64]) -> NDArray[np.int8]:
    """Look up image versions: values of Known, int8 (n,)."""
    return look_up_places(ledger, keys, size_bytes)[0]


def look_up_places(
    ledger: Ledger, keys: Keys, size_bytes: NDArray[np.int64]
) -> tuple[NDArray[np.int8], Places]:
    """Look up image versions: values of Known, and the first counted model that has a row.

    Returns:
        int8 (n,), and uint16 (n,). The place is 0 unless the version is KNOWN by other models' rows alone.
    """
    answer = np.full(len(keys), Known.NEW, dtype=np.int8)
    places = np.zeros(len(keys), np.uint16)
    for position, same in _same_keys(ledger, keys):
        equal = same & (ledger.size_bytes[position] == size_bytes)
        if ledger.places is not None:
            found = ledger.places[position]
            places = np.where(equal & ((answer != Known.KNOWN) | (found < places)), found, places)
        answer[same & (answer == Known.NEW)] = Known.OTHER_BYTES
        answer[equal] = Known.KNOWN
    return answer, places


def positions(ledger: Ledger, keys: Keys, size_bytes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of image versions with this size in the ledger, int64 (n,); -1 if absent."""
    found = np.full(len(keys), -1, dtype=np.int64)
    for position, same in _same_keys(ledger, keys):
        equal = same & (ledger.size_bytes[position] == size_bytes)
        found[equal] = position[equal]
    return found


def _same_keys(ledger: Ledger, keys: Keys) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield candidate positions of the keys, int64 (n,), and whether the keys match there, bool (n,)."""
    if not len(ledger):
        return
    start = np.searchsorted(ledger.first, keys[:, 0])
    for step in range(ledger.longest):
        position = np.minimum(start + step, len(ledger) - 1)
        same = (ledger.first[position] == keys[:, 0]) & (ledger.second[position] == keys[:, 1])
        yield position, same & (start + step < len(ledger))


def read_scored(
    workspace: str, models: Sequence[Model], but: Snapshot | None = None, table: str = "scores"
) -> Iterator[Versions]:
    """Yield image versions that these models have scored; with `but` only from rows added since that state.

    All models' rows are found in one pass. A row with a hashed etag also counts under its plain etag, by which
    storage lists those bytes.
    """
    columns = ["uri", "etag", "size_bytes", "model_name", "model_version"]
    folders: Folders = {}
    for rows in tables.scan(workspace, table, columns, but):
        yield keyed(with_plain_etags(of_models(rows, models)), folders, len(models) > 1)


def read_quarantined(workspace: str, by_reason: bool = False) -> Iterator[Versions]:
    """Yield image versions that are quarantined permanently; read errors are tried again every run.

    Args:
        workspace: normalised URL.
        by_reason: make the keys from uri, etag and reason (`hash_reasons`) instead of uri and etag.
    """
    mended = make_ledger(_read_replayed(workspace))
    folders: Folders = {}
    for rows in tables.scan(workspace, "quarantine", ["uri", "etag", "size_bytes", "flow", "reason"]):
        ours = pc.is_in(rows["flow"], pa.array(FLOWS))
        chosen = rows.filter(pc.and_not(ours, pc.is_in(rows["reason"], pa.array(RETRIED))))
        chosen = resolve_rows(chosen, folders)  # for both kinds of keys
        chosen = chosen if by_reason else with_plain_etags(chosen)
        keys, sizes = hash_keys(chosen["uri"], chosen["etag"]), chosen["size_bytes"].to_numpy()
        still = look_up(mended, keys, sizes) == Known.NEW
        yield Versions((hash_reasons(chosen) if by_reason else keys)[still], sizes[still])


def _read_replayed(workspace: str) -> Iterator[Versions]:
    """Yield image versions that `quarantine replay` has scored; any model may score them now."""
    runs = tables.read(workspace, "runs", ["flow", "done"])
    if not pc.any(pc.and_(pc.equal(runs["flow"], "replay"), pc.greater(runs["done"], 0))).as_py():
        return
    run_id = pc.field("run_id")  # begins with "<flow>-"; "." is the character after "-"
    where = (run_id >= "replay-") & (run_id < "replay.")
    folders: Folders = {}
    for rows in tables.scan(workspace, "scores", ["uri", "etag", "size_bytes"], where=where):
        yield keyed(rows, folders)


def hash_reasons(rows: pa.Table) -> Keys:
    """Hash uri, etag and reason, as `hash_keys` does."""
    return hash_keys(rows["uri"], pc.binary_join_element_wise(rows["etag"], rows["reason"], "\n"))


def keyed(rows: pa.Table, folders: Folders, several: bool = False) -> Versions:
    """Return a table's rows as image versions, with uris as they are listed today.

    Args:
        rows: uri, etag, size_bytes.
        folders: what `resolve_rows` keeps between pieces.
        several: whether several models count; then the rows have PLACE too.
    """
    rows = resolve_rows(rows, folders)
    places = rows[PLACE].to_numpy() if several else None
    return Versions(hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy(), places)
