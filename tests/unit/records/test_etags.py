"""Tests of skinml/records/etags.py: the etag of bytes that came under other bytes' etag."""

from __future__ import annotations

import pyarrow as pa
import pytest

from skinml.records.etags import hashed_etag, plain_etag, with_plain_etags

SHA256 = "0123456789abcdef" + "f" * 48


@pytest.mark.parametrize("etag", ["17e-9c0", '"d41d8cd98f00b204e9800998ecf8427e-1"', "", 'W/"a+b"'])
def test_the_plain_etag_comes_back(etag: str) -> None:
    hashed = hashed_etag(etag, SHA256)
    assert hashed == f"{etag}+sha256:0123456789abcdef"
    assert plain_etag(hashed) == plain_etag(etag) == etag
    assert hashed_etag(hashed, "e" * 64) == f"{etag}+sha256:{'e' * 16}", "never two hashes"


def test_what_only_looks_like_it_is_left_alone() -> None:
    for etag in ("a+sha256:0123", "a+sha256:0123456789ABCDEF", "a+sha256:0123456789abcdef0", "+sha256"):
        assert plain_etag(etag) == etag


def test_rows_count_under_both_etags() -> None:
    rows = pa.table({"uri": ["a", "b"], "etag": ["1", "2+sha256:0123456789abcdef"], "size_bytes": [1, 2]})
    assert with_plain_etags(rows).to_pylist() == [
        *rows.to_pylist(),
        {"uri": "b", "etag": "2", "size_bytes": 2},
    ]
    assert with_plain_etags(rows.slice(0, 1)).num_rows == 1
