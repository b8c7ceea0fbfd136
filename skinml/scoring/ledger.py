"""Which image versions are known: 16 bytes of hash and a size for each, whatever its name's length.

An archive's listing is compared with what the tables hold by hashed keys, piece by piece, so that a million
images take 24 MB here and no million strings are ever held.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.util import hash_array

from skinml import tables
from skinml.process.memory import release_memory
from skinml.records.etags import with_plain_etags
from skinml.records.quarantine import RETRIED
from skinml.storage.spelling import Folders, resolve_rows
from skinml.tables import Snapshot

Number = TypeVar("Number", np.uint64, np.int64)

Keys = NDArray[np.uint64]
"""Hashed (uri, etag) pairs, (n, 2)."""

SECRETS = (secrets.token_hex(8), secrets.token_hex(8))
"""Of a key's two halves, drawn for each process: nobody can name an object so that it is taken for another.
A night over a million images beside a million known ones takes one for another with a probability of 3e-27;
with 64 bits it would be 5e-8, and nobody would notice."""

FLOWS = ("score", "replay")
"""Flows whose quarantine is about images of an archive; `prepare` has its own."""


class Known(IntEnum):
    """What the ledger says of an image version."""

    NEW = 0
    KNOWN = 1
    OTHER_BYTES = 2  # the same uri and etag with another size: storage has broken its promise


@dataclass(frozen=True, eq=False)
class Ledger:
    """Known image versions in the order of their keys' first halves.

    Attributes:
        first: first halves of the keys, uint64 (n,), ascending.
        second: second halves, uint64 (n,).
        size_bytes: of the objects, int64 (n,).
        longest: how many keys in a row share their first half, at most: 1 but for repeated keys.
    """

    first: NDArray[np.uint64]
    second: NDArray[np.uint64]
    size_bytes: NDArray[np.int64]
    longest: int

    def __len__(self) -> int:
        return len(self.first)


def hash_keys(uris: pa.ChunkedArray, etags: pa.ChunkedArray) -> Keys:
    """SipHash-2-4 of each uri and etag under two keys of this process, uint64 (n, 2): 0.3 s a million.

    SipHash: Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012; pandas has it in C. Two of
    them take a third of the time of one BLAKE2b from Python. No etag holds a line feed.

    Raises:
        ValueError: a uri or an etag is null.
    """
    text = pc.binary_join_element_wise(uris, etags, "\n").cast(pa.binary())
    if text.null_count:  # pandas would hash them all alike
        raise ValueError(f"{text.null_count} of {len(text)} images have no uri or no etag")
    names = text.to_numpy()
    return np.stack([hash_array(names, hash_key=key, categorize=False) for key in SECRETS], axis=1)


def hash_uris(uris: pa.ChunkedArray) -> Keys:
    """As `hash_keys`, of uris alone."""
    return hash_keys(uris, pa.chunked_array([pa.repeat("", len(uris))]))


def make_ledger(pieces: Iterable[tuple[Keys, NDArray[np.int64]]]) -> Ledger:
    """A ledger of keys and the sizes of their objects, given piece by piece.

    Column by column, each let go of before the next: 40 bytes an image at the most, of which 24 stay.
    """
    firsts, seconds, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for piece_keys, piece_sizes in pieces:
        firsts.append(piece_keys[:, 0].copy())  # a view would keep the piece
        seconds.append(piece_keys[:, 1].copy())
        sizes.append(piece_sizes)
    first = _joined(firsts)
    order = np.argsort(first, kind="stable")
    first = first[order]
    return Ledger(first, _joined(seconds)[order], _joined(sizes)[order], _longest_run(first))


def _joined(pieces: list[NDArray[Number]]) -> NDArray[Number]:
    """All pieces in one array; the list is empty afterwards, and what it held goes back to the system.

    Small pieces would stay with the C library: making the ledger of 100 million images took 6.5 GB instead of
    4.1, and a driver that knows a million peaked at 356 MB instead of 318.
    """
    joined = np.concatenate(pieces)
    pieces.clear()
    release_memory()
    return joined


def _longest_run(ascending: NDArray[np.uint64]) -> int:
    """How many values in a row are equal, at most."""
    repeats = np.flatnonzero(ascending[1:] == ascending[:-1])
    ends = np.flatnonzero(np.diff(repeats, append=-1) != 1)
    return min(len(ascending), 1 + int(np.diff(ends, prepend=-1).max(initial=0)))


def look_up(ledger: Ledger, keys: Keys, size_bytes: NDArray[np.int64]) -> NDArray[np.int8]:
    """What the ledger says of image versions: values of Known, int8 (n,)."""
    answer = np.full(len(keys), Known.NEW, dtype=np.int8)
    for position, same in _same_keys(ledger, keys):
        answer[same & (answer == Known.NEW)] = Known.OTHER_BYTES
        answer[same & (ledger.size_bytes[position] == size_bytes)] = Known.KNOWN
    return answer


def positions(ledger: Ledger, keys: Keys, size_bytes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in the ledger's order image versions are, with this size: int64 (n,), -1 where they are not."""
    found = np.full(len(keys), -1, dtype=np.int64)
    for position, same in _same_keys(ledger, keys):
        equal = same & (ledger.size_bytes[position] == size_bytes)
        found[equal] = position[equal]
    return found


def _same_keys(ledger: Ledger, keys: Keys) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Positions, int64 (n,), at which the keys may be, and whether they are there, bool (n,): all there are."""
    if not len(ledger):
        return
    start = np.searchsorted(ledger.first, keys[:, 0])
    for step in range(ledger.longest):
        position = np.minimum(start + step, len(ledger) - 1)
        same = (ledger.first[position] == keys[:, 0]) & (ledger.second[position] == keys[:, 1])
        yield position, same & (start + step < len(ledger))


def read_scored(
    workspace: str, model_name: str, model_version: str, but: Snapshot | None = None
) -> Iterable[tuple[Keys, NDArray[np.int64]]]:
    """Keys and sizes of what one model version has scored; with `but` only of what was added to that state.

    A row with a hashed etag counts under its plain one, too, by which storage lists those bytes.
    """
    columns = ["uri", "etag", "size_bytes", "model_name", "model_version"]
    folders: Folders = {}
    for rows in tables.scan(workspace, "scores", columns, but):
        yield keyed(with_plain_etags(rows.filter(of_model(rows, model_name, model_version))), folders)


def of_model(rows: pa.Table, model_name: str, model_version: str) -> pa.ChunkedArray:
    """Which rows are of this model version, bool."""
    return pc.and_(pc.equal(rows["model_name"], model_name), pc.equal(rows["model_version"], model_version))


def read_quarantined(workspace: str, by_reason: bool = False) -> Iterator[tuple[Keys, NDArray[np.int64]]]:
    """Keys and sizes of what is in quarantine for good: what may pass by itself is tried every night.

    Args:
        workspace: normalised URL.
        by_reason: the keys are of uri, etag and reason, as `hash_reasons` makes them.
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
        yield (hash_reasons(chosen) if by_reason else keys)[still], sizes[still]


def _read_replayed(workspace: str) -> Iterator[tuple[Keys, NDArray[np.int64]]]:
    """Keys and sizes of what `quarantine replay` could score: every model may have it now."""
    runs = tables.read(workspace, "runs", ["flow", "done"])
    if not pc.any(pc.and_(pc.equal(runs["flow"], "replay"), pc.greater(runs["done"], 0))).as_py():
        return
    run_id = pc.field("run_id")  # which begins with the flow's name; the next character after - is .
    where = (run_id >= "replay-") & (run_id < "replay.")
    folders: Folders = {}
    for rows in tables.scan(workspace, "scores", ["uri", "etag", "size_bytes"], where=where):
        yield keyed(rows, folders)


def hash_reasons(rows: pa.Table) -> Keys:
    """As `hash_keys`, of uri, etag and reason."""
    return hash_keys(rows["uri"], pc.binary_join_element_wise(rows["etag"], rows["reason"], "\n"))


def keyed(rows: pa.Table, folders: Folders) -> tuple[Keys, NDArray[np.int64]]:
    """Keys and sizes of a table's rows, under the paths that their folders have today."""
    rows = resolve_rows(rows, folders)
    return hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy()
