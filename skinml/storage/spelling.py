"""Rows that name an image by an older spelling of its path: through a link, or with `..` in it.

A listing names each image by the one path that `urls.normalise` gives its folder. Rows of an earlier day may
have another one, from before folders were resolved, or from before a folder was moved and a link left in its
place. They are compared under the path that their folder has today.
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skinml.storage.urls import file_path, file_uri

SCHEME = "file://"

LENGTHS = 4
"""Lengths of folders' names that are looked at one by one in a piece; the rest is cut uri by uri."""

Folders = dict[str, str]
"""Folders as rows name them, and as they are named today: `file://` uris without a slash at the end."""


def resolve_rows(rows: pa.Table, folders: Folders | None = None) -> pa.Table:
    """The same rows, their `uri` as a listing of today would spell it.

    Args:
        rows: with a column `uri`.
        folders: what was found out for earlier rows; it grows.
    """
    before = rows["uri"]
    after = resolve_uris(before, {} if folders is None else folders)
    place = rows.schema.get_field_index("uri")
    return rows if after is before else rows.set_column(place, rows.schema.field(place), after)


def resolve_uris(uris: pa.ChunkedArray, folders: Folders) -> pa.ChunkedArray:
    """Uris as a listing of today would spell them: each distinct folder of files is resolved once.

    Objects' uris are left as they are: a key has no other spelling. Where nothing changes the same array comes
    back: after 12 ms of a core for a million rows of one folder, 35 to 45 ms for those of 1,000, 100 ms where
    folders' names have many lengths; to make the ledger of them takes 600 to 650 ms.

    Args:
        uris: text, one or more chunks.
        folders: what was found out for earlier rows; it grows.
    """
    changed = False
    for chunk in uris.chunks:
        if not _has_files(chunk):
            continue
        for folder in _distinct_folders(chunk):
            if folder not in folders:
                folders[folder] = _resolved(folder, folders)
            changed = changed or folders[folder] != folder
    return _renamed(uris, folders) if changed else uris


def _has_files(uris: pa.Array) -> bool:
    first = uris[0].as_py() if len(uris) else None
    return (first or "").startswith(SCHEME) or bool(pc.any(pc.starts_with(uris, SCHEME)).as_py())


def _distinct_folders(uris: pa.Array) -> set[str]:
    """The parent folders of these uris, without per-row Python: folders with names of one length together."""
    found: set[str] = set()
    rest = uris.drop_null() if uris.null_count else uris
    for _ in range(LENGTHS):
        if not len(rest):
            return found
        rows, rest, starts = _alike(rest)
        # A row that lies deeper than its start has more slashes than that.
        depths = {start.count("/") for start in starts}
        if len(depths) != 1 or _slashes(rows) != len(rows) * depths.pop():
            found.update(_folders(rows).unique().to_pylist())
        else:
            found.update(start.removesuffix("/") for start in starts)
    return found | set(_folders(rest).unique().to_pylist())


def _alike(uris: pa.Array) -> tuple[pa.Array, pa.Array, list[str]]:
    """The uris that have a slash where the first one's folder ends, the others, and how the former begin."""
    first, last = (uris[row].as_py().rpartition("/")[0] + "/" for row in (0, len(uris) - 1))
    if first == last and pc.all(pc.starts_with(uris, first)).as_py():  # a third of the time of what follows
        return uris, uris.slice(0, 0), [first]
    length = len(first.encode())
    starts = pc.binary_slice(_bytes(uris), 0, length).unique().to_pylist()
    rest = uris.slice(0, 0)
    if not all(start.endswith(b"/") for start in starts):
        same = pc.equal(pc.binary_slice(_bytes(uris), length - 1, length), b"/")
        uris, rest = uris.filter(same), uris.filter(pc.invert(same))
        starts = [start for start in starts if start.endswith(b"/") and len(start) == length]
    return uris, rest, [start.decode() for start in starts]


def _bytes(texts: pa.Array) -> pa.Array:
    return texts.cast(pa.large_binary() if pa.types.is_large_string(texts.type) else pa.binary())


def _slashes(texts: pa.Array) -> int:
    """How many slashes there are in all of these texts together."""
    _, offsets, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    bounds = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1]
    return int(np.count_nonzero(np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]] == ord("/")))


def _folders(texts: pa.Array) -> pa.Array:
    """The parent folder of each uri, as it stands there: four times as slow."""
    return pc.list_element(pc.split_pattern(texts, "/", max_splits=1, reverse=True), 0)


def _resolved(folder: str, folders: Folders) -> str:
    """A folder's uri as it is today. Its parent is resolved once: a folder more costs one look at the disk."""
    above, _, name = folder.rpartition("/")
    if not folder.startswith(f"{SCHEME}/") or "%00" in folder:
        return folder
    if above not in folders:
        folders[above] = _real(above)
    joined = f"{folders[above]}/{name}"
    is_plain = name not in ("", ".", "..") and not os.path.islink(file_path(joined))  # noqa: PTH114 - any bytes
    return joined if is_plain else _real(folder)


def _real(folder: str) -> str:
    """As the system resolves it; the topmost folder is `file://`, as the parent of `file:///a.jpg`."""
    path = os.path.realpath(file_path(folder) or "/")
    return file_uri(path) if path != "/" else SCHEME


def _renamed(uris: pa.ChunkedArray, folders: Folders) -> pa.ChunkedArray:
    """The uris with their folders as they are today."""
    chunks = []
    for chunk in uris.chunks:
        old = pc.replace_substring_regex(chunk, r"(?s)/[^/]*$", "").dictionary_encode()
        new = pa.array([folders.get(folder, folder) for folder in old.dictionary.to_pylist()], chunk.type)
        names = pc.replace_substring_regex(chunk, r"(?s)^.*/", "")
        named = pc.binary_join_element_wise(new.take(old.indices), names, pa.scalar("/", chunk.type))
        # Another writer's text without a slash, or an object's uri, stays as it is.
        chunks.append(pc.if_else(pc.starts_with(chunk, f"{SCHEME}/"), named, chunk))
    return pa.chunked_array(chunks, uris.type)
