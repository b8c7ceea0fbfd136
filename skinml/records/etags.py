"""Hashed etags, `<etag>+sha256:<16 hex digits>`, for bytes whose etag was already used by other bytes.

Different bytes should have different etags, but a folder cannot guarantee it: a file may be replaced by one of
the same size and modification time. `score --recheck` finds such images. Their rows get a hashed etag, so that
(uri, etag) still identifies the bytes. It begins with the plain etag, by which storage lists the image.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

MARK = "+sha256:"
DIGITS = 16
PATTERN = rf"\+sha256:[0-9a-f]{{{DIGITS}}}$"


def hashed_etag(etag: str, sha256: str) -> str:
    """Return the hashed etag of bytes whose etag was used by other bytes before.

    Args:
        etag: the etag from storage, or the hashed etag of other bytes.
        sha256: the hash of the bytes, hexadecimal.

    Example:
        >>> hashed_etag("18a2-5f00", "0123456789abcdef" * 4)
        '18a2-5f00+sha256:0123456789abcdef'
    """
    return f"{plain_etag(etag)}{MARK}{sha256[:DIGITS]}"


def plain_etag(etag: str) -> str:
    """Return the etag under which storage lists the image.

    Example:
        >>> plain_etag("18a2-5f00+sha256:0123456789abcdef")
        '18a2-5f00'
    """
    return re.sub(PATTERN, "", etag) if MARK in etag else etag


def with_plain_etags(rows: pa.Table) -> pa.Table:
    """Return the rows, and those with a hashed etag once more under the plain etag."""
    hashed = rows.filter(pc.match_substring(rows["etag"], MARK))
    if not hashed.num_rows:
        return rows
    plain = pc.replace_substring_regex(hashed["etag"], PATTERN, "")
    return pa.concat_tables([rows, hashed.set_column(rows.schema.get_field_index("etag"), "etag", plain)])
