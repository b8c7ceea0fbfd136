"""The etag of a row whose bytes came under an etag that other bytes had: `<etag>+sha256:<16 hex digits>`.

Other bytes should have another etag, and a folder cannot promise that: a file may be replaced by one of its
size, with its modification time kept. `score --recheck` finds such images. Their rows get an etag of their own,
so that (uri, etag) still says which bytes. The plain etag, by which storage lists them, is the front of it.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

MARK = "+sha256:"
DIGITS = 16
PATTERN = rf"\+sha256:[0-9a-f]{{{DIGITS}}}$"


def hashed_etag(etag: str, sha256: str) -> str:
    """The etag of these bytes, which other bytes had before them.

    Args:
        etag: as storage gave it, or as this function returned it for other bytes.
        sha256: of the bytes, hexadecimal.
    """
    return f"{plain_etag(etag)}{MARK}{sha256[:DIGITS]}"


def plain_etag(etag: str) -> str:
    """The etag under which storage lists the image."""
    return re.sub(PATTERN, "", etag) if MARK in etag else etag


def with_plain_etags(rows: pa.Table) -> pa.Table:
    """The rows (with a column etag), and those with a hashed etag once more under the plain one."""
    hashed = rows.filter(pc.match_substring(rows["etag"], MARK))
    if not hashed.num_rows:
        return rows
    plain = pc.replace_substring_regex(hashed["etag"], PATTERN, "")
    return pa.concat_tables([rows, hashed.set_column(rows.schema.get_field_index("etag"), "etag", plain)])
