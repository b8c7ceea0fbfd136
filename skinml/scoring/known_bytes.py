"""Recognise pending images whose bytes already have a row, by SHA-256; 34 bytes of memory a row.

Only rows of pending uris are kept: in a normal run those of touched or replaced images, in a recheck all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skinml import tables
from skinml.records.etags import with_plain_etags
from skinml.schemas import IMAGE_VERSION
from skinml.scoring.compare_bytes import HASH_BYTES, JOB, Standing
from skinml.scoring.counted import PLACE, Model, Places, of_models
from skinml.scoring.ledger import (
    FLOWS,
    JOINED_AT_ONCE,
    Known,
    Ledger,
    first_of_equal,
    hash_keys,
    hash_uris,
    look_up_places,
)
from skinml.scoring.pending import ROWS_AT_ONCE, Pending
from skinml.storage.spelling import Folders, resolve_rows

SHA256 = "^[0-9a-f]{64}$"
DIGEST = f"V{HASH_BYTES}"


@dataclass(frozen=True, eq=False)
class KnownBytes:
    """Rows that pending images may be equal to, sorted by the keys of their uris; each uri and hash once.

    Keys have 64 bits. Two uris with the same key are confused only if their bytes are equal too.

    Attributes:
        uris: keys of the rows' uris, uint64 (n,), ascending.
        sha256: the first HASH_BYTES bytes of the bytes' SHA-256, void (n,).
        places: of the counted models, the first that has such a row, uint16 (n,).
        versions: keys of the rows' uris and plain etags, uint64 (n,), ascending on their own.
        ledger: in a recheck, all image versions with a row; None otherwise.
    """

    uris: NDArray[np.uint64]
    sha256: NDArray[np.void]
    places: Places
    versions: NDArray[np.uint64]
    ledger: Ledger | None = None


def read_known_bytes(
    workspace: str, models: Sequence[Model], pending: Pending, ledger: Ledger | None = None
) -> KnownBytes:
    """Read from the tables which bytes of pending images have a row; nothing is read if none are pending.

    With a million rows in the tables it takes 1.2 s for a few pending images and 4 s for a million.

    Args:
        workspace: normalised URL.
        models: only rows of these models count.
        pending: the images to be read in this run.
        ledger: for a recheck, all image versions that have a row. Only then do rows of the quarantine count: in
            a normal run, an image with a new etag is tried again whatever its bytes.
    """
    wanted = [uri_keys(rows["uri"]) for rows in pending.read(ROWS_AT_ONCE)]
    no_keys = np.empty(0, np.uint64)
    found = [KnownBytes(no_keys, np.empty(0, DIGEST), np.empty(0, np.uint16), no_keys)]
    waiting = 0
    if wanted:
        uris = np.unique(np.concatenate(wanted))
        for rows in _hashed_rows(workspace, models, quarantined=ledger is not None):
            keys = uri_keys(rows["uri"])
            place = np.minimum(np.searchsorted(uris, keys), len(uris) - 1)
            there = uris[place] == keys
            chosen = rows.filter(pa.array(there))
            versions = with_plain_etags(chosen.select(IMAGE_VERSION))
            found.append(
                KnownBytes(
                    keys[there],
                    _digests(chosen["sha256"]),
                    chosen[PLACE].to_numpy(),
                    hash_keys(versions["uri"], versions["etag"])[:, 0],
                )
            )
            waiting += len(chosen)
            if len(models) > 1 and waiting > max(JOINED_AT_ONCE, len(found[0].uris) // 2):
                found, waiting = [_joined(found)], 0
    return replace(_joined(found), ledger=ledger)


def _joined(pieces: Sequence[KnownBytes]) -> KnownBytes:
    """Join pieces; rows of one uri with one hash, such as those of several models, become one."""
    uris, sha256, places = (
        np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("uris", "sha256", "places")
    )
    order = np.argsort(uris, kind="stable")
    uris, sha256, places = uris[order], sha256[order], places[order]
    starts = first_of_equal(uris, *sha256.view(np.uint64).reshape(-1, 2).T)
    if len(starts) < len(uris):
        uris, sha256, places = uris[starts], sha256[starts], np.minimum.reduceat(places, starts)
    versions = np.unique(np.concatenate([piece.versions for piece in pieces]))
    return KnownBytes(uris, sha256, places, versions)


def uri_keys(uris: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return the keys of uris alone, uint64 (n,)."""
    return hash_uris(uris)[:, 0]


def _hashed_rows(workspace: str, models: Sequence[Model], quarantined: bool) -> Iterator[pa.Table]:
    """Yield rows that have a SHA-256: uri (as listed today), etag, sha256 and PLACE.

    The pieces are small: for a million scores, pieces of 65,536 rows took 80 MB of the driver, these take 23
    MB.
    """
    columns = [*IMAGE_VERSION, "sha256"]
    folders: Folders = {}
    for table in ("scores", "known_etags"):
        for rows in tables.scan(workspace, table, [*columns, "model_name", "model_version"], rows=ROWS_AT_ONCE):
            yield resolve_rows(_with_hash(of_models(rows, models)), folders)
    if quarantined:
        for rows in tables.scan(workspace, "quarantine", [*columns, "flow"]):
            ours = _with_hash(rows.filter(pc.is_in(rows["flow"], pa.array(FLOWS))))
            places = pa.repeat(pa.scalar(0, pa.uint16()), len(ours))
            yield resolve_rows(ours.select(columns).append_column(PLACE, places), folders)


def _with_hash(rows: pa.Table) -> pa.Table:
    if rows["sha256"].null_count == len(rows):  # of an older skinml
        return rows.slice(0, 0)
    return rows.filter(pc.fill_null(pc.match_substring_regex(rows["sha256"], SHA256), fill_value=False))


def _digests(sha256: pa.ChunkedArray) -> NDArray[np.void]:
    digits = b"".join(text.encode() for text in pc.utf8_slice_codeunits(sha256, 0, 2 * HASH_BYTES).to_pylist())
    return np.frombuffer(bytes.fromhex(digits.decode()), DIGEST)


def add_known_bytes(pieces: Iterable[pa.Table], known: KnownBytes) -> Iterator[pa.Table]:
    """Yield pieces of pending images (schema LISTING) with what is known about each, schema JOB."""
    for rows in pieces:
        keys = uri_keys(rows["uri"])
        start, end = np.searchsorted(known.uris, keys), np.searchsorted(known.uris, keys, "right")
        offsets = np.concatenate([[0], np.cumsum(end - start)])
        each = np.repeat(start - offsets[:-1], end - start) + np.arange(offsets[-1])
        digests = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(HASH_BYTES), len(each), [None, pa.py_buffer(known.sha256[each].tobytes())]
        )
        hashes = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), digests)
        places = pa.ListArray.from_arrays(hashes.offsets, pa.array(known.places[each]))
        columns = [*rows.columns, *map(pa.array, standings(rows, known)), hashes, places]
        yield pa.Table.from_arrays(columns, schema=JOB)


def standings(rows: pa.Table, known: KnownBytes) -> tuple[NDArray[np.int8], Places]:
    """Return whether the tables know uri and etag of pending images, and by whose row.

    Returns:
        Values of Standing, int8 (n,); and of the counted models the first with such a row, uint16 (n,).
    """
    found = np.full(len(rows), Standing.NEW, np.int8)
    if known.ledger is None or not len(rows):
        return found, np.zeros(len(rows), np.uint16)
    keys = hash_keys(rows["uri"], rows["etag"])
    answer, places = look_up_places(known.ledger, keys, rows["size_bytes"].to_numpy())
    found[answer == Known.KNOWN] = Standing.UNHASHED
    if len(known.versions):
        place = np.minimum(np.searchsorted(known.versions, keys[:, 0]), len(known.versions) - 1)
        found[(answer == Known.KNOWN) & (known.versions[place] == keys[:, 0])] = Standing.COMPARABLE
    found[answer == Known.OTHER_BYTES] = Standing.COMPARABLE  # their sizes differ, so the bytes do
    return found, places
