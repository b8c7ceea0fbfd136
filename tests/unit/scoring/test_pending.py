"""Tests of skinml/scoring/pending.py: what has no row yet."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.errors import Reason
from skinml.schemas import LISTING
from skinml.scoring.pending import Pending, find_pending

Object = tuple[str, str]
"""uri and etag."""

OBJECTS = st.tuples(st.sampled_from([f"s3://x/{number}.jpg" for number in range(8)]), st.sampled_from("ab"))
REASONS = st.sampled_from([reason.value for reason in Reason])


def pending(listed: list[Object], scored: list[Object], broken: list[tuple[str, str, str]]) -> Pending:
    """The tables as they come out of storage."""
    listing = [{"uri": uri, "etag": etag, "size_bytes": 3} for uri, etag in listed]
    texts = {name: pa.string() for name in ("uri", "etag", "reason")}
    known = pa.Table.from_pylist(
        [{"uri": uri, "etag": etag} for uri, etag in scored], schema=pa.schema(dict(list(texts.items())[:2]))
    )
    quarantine = pa.Table.from_pylist(
        [{"uri": uri, "etag": etag, "reason": reason} for uri, etag, reason in broken],
        schema=pa.schema(texts),
    )
    table = pa.Table.from_pylist(listing, schema=LISTING)
    return find_pending(table.to_pandas(), known.to_pandas(), quarantine.to_pandas())


def images(found: Pending) -> list[Object]:
    return list(found.images[["uri", "etag"]].itertuples(index=False, name=None))


A, B, C = (("s3://x/a.jpg", "1"), ("s3://x/b.jpg", "1"), ("s3://x/c.jpg", "1"))


def test_what_is_scored_is_skipped_and_the_rest_is_in_order_of_its_uri() -> None:
    found = pending([C, B, A], [B], [])
    assert images(found) == [A, C]
    assert (found.listed, found.skipped) == (3, 1)
    assert found.images.columns.tolist() == LISTING.names


def test_other_bytes_are_new() -> None:
    newer = (A[0], "2")
    assert images(pending([newer], [A], [(*A, "empty")])) == [newer]


@pytest.mark.parametrize("reason", list(Reason))
def test_what_is_broken_is_skipped_but_for_a_failed_read(reason: Reason) -> None:
    found = pending([A], [], [(*A, reason.value)])
    tried_again = reason == Reason.READ_ERROR
    assert (images(found), found.skipped) == (([A], 0) if tried_again else ([], 1))


def test_an_etag_counts_only_with_its_uri() -> None:
    assert images(pending([A, B], [(A[0], "2"), ("s3://x/z.jpg", "1")], [])) == [A, B]


def test_nothing_listed_is_nothing_pending() -> None:
    found = pending([], [A], [(*B, "empty")])
    assert (images(found), found.listed, found.skipped) == ([], 0, 0)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(OBJECTS, unique_by=lambda row: row[0]),
    st.lists(OBJECTS),
    st.lists(st.tuples(OBJECTS, REASONS)),
)
def test_every_listed_image_is_skipped_or_pending(
    listed: list[Object], scored: list[Object], broken: list[tuple[Object, str]]
) -> None:
    found = pending(listed, scored, [(*row, reason) for row, reason in broken])
    known = {*scored, *(row for row, reason in broken if reason != "read_error")}
    assert images(found) == sorted(set(listed) - known)
    assert found.listed == len(listed) == found.skipped + len(found.images)
    done = pending(listed, scored + images(found), [(*row, reason) for row, reason in broken])
    assert images(done) == []
