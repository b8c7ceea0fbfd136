"""How things in storage are named: workspaces, archives and images, in a folder or in a bucket.

A folder's image is named `file:///path`, percent-encoded so that any byte a file system allows survives in a
table; a bucket's is `s3://bucket/key`, as it is. A place has one name, whatever its spelling (`normalise`); an
object has the name that its listing gave it, and that is never rewritten: `a//b.jpg` is a key of its own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from skinml.errors import RequestError
from skinml.storage.redaction import redacted

if TYPE_CHECKING:
    import pandas as pd

BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What S3 and its like allow. With a blank obstore panics, with a ? it asks for another bucket."""


def normalise(url: str) -> str:
    """The one name of a place: a folder as an absolute path, a bucket as s3://bucket/prefix.

    A folder's `.`, `..`, doubled slashes and links are resolved as the system would resolve them, whether it
    exists yet or not; a prefix's `.`, `..` and doubled slashes are resolved as text. Not for an object's uri.

    Raises:
        RequestError: it is neither, or a prefix leads above its bucket.
    """
    scheme, mark, rest = url.partition("://")
    if mark and scheme.lower() == "s3":
        return _bucket(url, rest)
    if mark and scheme.lower() == "file":
        host, slash, path = rest.partition("/")
        if slash and host.lower() in ("", "localhost"):
            return _folder(url, os.fsdecode(unquote_to_bytes(f"/{path}")))
    if mark or url.startswith(("s3:", "file:")):
        raise RequestError(f"{url!r}: only folders, file:///folder and s3://bucket/prefix are understood")
    if not url:
        raise RequestError("'' is no folder: name one, or s3://bucket/prefix")
    try:
        return _folder(url, str(Path(url).expanduser()))
    except RuntimeError as error:  # such as ~somebody
        raise RequestError(f"{url!r}: there is no such home folder; name the folder in full") from error


def _bucket(url: str, rest: str) -> str:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise RequestError(f"{url!r} names no bucket: write s3://bucket/prefix")
    if not BUCKET.fullmatch(bucket):
        raise RequestError(
            f"{redacted(url)!r}: no bucket is called {redacted(bucket)!r}: write s3://bucket/prefix"
        )
    parts: list[str] = []
    for part in prefix.split("/"):
        if part == ".." and not parts:
            raise RequestError(f"{url!r} leads above its bucket: write s3://bucket/prefix without ..")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(["s3:/", bucket, *parts])


def _folder(url: str, path: str) -> str:
    if "\0" in path:
        raise RequestError(f"{url!r}: no folder has a zero byte in its name")
    try:
        return "/" + os.path.realpath(path).lstrip("/")  # POSIX lets a path keep two slashes at its start
    except FileNotFoundError as error:  # the working directory was deleted
        raise RequestError(f"{url!r}: this shell's folder is gone; name the folder in full") from error


def is_remote(url: str) -> bool:
    """Whether this normalised URL lies in a bucket."""
    return url.startswith("s3://")


def is_below(url: str, place: str) -> bool:
    """Whether a normalised URL lies strictly inside another one."""
    return url.startswith(f"{place.rstrip('/')}/") and url != place


def file_uri(path: str) -> str:
    """The `file://` URI of an absolute path, whatever bytes its name holds."""
    return "file://" + quote_from_bytes(os.fsencode(path))


def file_path(uri: str) -> str:
    """The path of a `file://` URI, exactly as `file_uri` was given it."""
    return os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))


def as_uri(url: str) -> str:
    """A normalised URL as the uri of an object: a bucket's is that already, a folder's path becomes `file://`."""
    return url if is_remote(url) else file_uri(url)


def image_id(uri: str) -> str:
    """The stem of the object's name; bytes that are not UTF-8 are shown as U+FFFD."""
    name = uri.rsplit("/", 1)[-1]
    if uri.startswith("file://"):
        name = unquote_to_bytes(name).decode("utf-8", "replace")
    return name.rpartition(".")[0] or name


def image_ids(uris: pd.Series[str]) -> pd.Series[str]:
    """`image_id` of many uris at once: 50,000 in 40 ms."""
    import pandas as pd  # here, because half a second of CPU is too much for refusing a request
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pc.replace_substring_regex(pa.array(uris, pa.large_string()), r"(?s)^.*/", "")
    stems = pc.replace_substring_regex(names, r"(?s)^(.+)\.[^.]*$", r"\1")
    found = pd.Series(pd.array(stems, dtype="str"), index=uris.index, dtype="str")
    encoded = uris.str.contains("%", regex=False)
    if encoded.any():
        found[encoded] = [image_id(uri) for uri in uris[encoded]]
    return found
