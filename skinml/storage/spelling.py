"""Resolve uris in existing rows to the spelling that a listing uses today.

A listing names each image by the one path that `urls.normalise` gives its folder. Older rows may have another
path, with `..` or through a link: from before folders were resolved, or from before a folder was moved and
replaced by a link. They are compared under the path that their folder has today.
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skinml.storage.urls import file_path, file_uri

SCHEME = "file://"

LENGTHS = 4
"""Folders are found in bulk for this many lengths of folder names per chunk; the rest is split uri by uri."""

Folders = dict[str, str]
"""Folders as rows name them -> as they are named today: `file://` uris without a slash at the end."""


def resolve_rows(rows: pa.Table, folders: Folders | None = None) -> pa.Table:
    """Return the rows with `uri` in the spelling that a listing uses today.

    Args:
        rows: a table with a column `uri`.
        folders: a cache of resolved folders, which is extended.
    """
    before = rows["uri"]
    after = resolve_uris(before, {} if folders is None else folders)
    place = rows.schema.get_field_index("uri")
    return rows if after is before else rows.set_column(place, rows.schema.field(place), after)


def resolve_uris(uris: pa.ChunkedArray, folders: Folders) -> pa.ChunkedArray:
    """Return uris in the spelling that a listing uses today; each distinct folder is resolved once.

    Uris in buckets are not changed, because a key has only one spelling. If no uri changes, the same array is
    returned. A million uris take 12 ms of CPU if they lie in one folder, 35 to 45 ms in 1,000 folders, 100 ms
    if the folders' names have many lengths; building the ledger from them takes 600 to 650 ms.

    Args:
        uris: text, one or more chunks.
        folders: a cache of resolved folders, which is extended.
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
    """Return the parent folders of these uris, in bulk for each length of a folder's name."""
    found: set[str] = set()
    rest = uris.drop_null() if uris.null_count else uris
    for _ in range(LENGTHS):
        if not len(rest):
            return found
        rows, rest, starts = _alike(rest)
        # A uri in a deeper folder has more slashes than that.
        depths = {start.count("/") for start in starts}
        if len(depths) != 1 or _slashes(rows) != len(rows) * depths.pop():
            found.update(_folders(rows).unique().to_pylist())
        else:
            found.update(start.removesuffix("/") for start in starts)
    return found | set(_folders(rest).unique().to_pylist())


def _alike(uris: pa.Array) -> tuple[pa.Array, pa.Array, list[str]]:
    """Split the uris by whether a slash stands where the first uri's folder ends; also return those folders."""
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
    """Count the slashes in all of these texts together."""
    _, offsets, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    bounds = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1]
    return int(np.count_nonzero(np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]] == ord("/")))


def _folders(texts: pa.Array) -> pa.Array:
    """Return the parent folder of each uri; four times slower than in bulk."""
    return pc.list_element(pc.split_pattern(texts, "/", max_splits=1, reverse=True), 0)


def _resolved(folder: str, folders: Folders) -> str:
    """Return a folder's uri as it is today. Parents are cached, so a further folder costs one disk access."""
    above, _, name = folder.rpartition("/")
    if not folder.startswith(f"{SCHEME}/") or "%00" in folder:
        return folder
    if above not in folders:
        folders[above] = _real(above)
    joined = f"{folders[above]}/{name}"
    is_plain = name not in ("", ".", "..") and not os.path.islink(file_path(joined))  # noqa: PTH114 - any bytes
    return joined if is_plain else _real(folder)


def _real(folder: str) -> str:
    """Resolve a folder by the operating system. The root folder is `file://`, the parent of `file:///a.jpg`."""
    path = os.path.realpath(file_path(folder) or "/")
    return file_uri(path) if path != "/" else SCHEME


def _renamed(uris: pa.ChunkedArray, folders: Folders) -> pa.ChunkedArray:
    """Return the uris with their folders replaced by today's."""
    chunks = []
    for chunk in uris.chunks:
        old = pc.replace_substring_regex(chunk, r"(?s)/[^/]*$", "").dictionary_encode()
        new = pa.array([folders.get(folder, folder) for folder in old.dictionary.to_pylist()], chunk.type)
        names = pc.replace_substring_regex(chunk, r"(?s)^.*/", "")
        named = pc.binary_join_element_wise(new.take(old.indices), names, pa.scalar("/", chunk.type))
        # Uris of objects in buckets, and text without a slash from another writer, stay as they are.
        chunks.append(pc.if_else(pc.starts_with(chunk, f"{SCHEME}/"), named, chunk))
    return pa.chunked_array(chunks, uris.type)
