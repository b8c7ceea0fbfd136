"""Tests of skinml/scoring/ledger.py: what is known is known, nothing else is, by hashes alone."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml import tables
from skinml.records.quarantine import quarantine_rows
from skinml.schemas import SCORES
from skinml.scoring import ledger as module
from skinml.scoring.ledger import (
    Known,
    Versions,
    hash_keys,
    hash_reasons,
    look_up,
    look_up_places,
    make_ledger,
    read_quarantined,
    read_scored,
)
from tests.effort import examples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
ETAG = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=3)
OBJECTS = st.lists(st.tuples(TEXT, ETAG, st.integers(0, 3)), max_size=30)


def keys_of(objects: list[tuple[str, str, int]]) -> Versions:
    uris, etags, sizes = zip(*objects, strict=True) if objects else ((), (), ())
    columns = [pa.chunked_array([pa.array(values, pa.string())]) for values in (uris, etags)]
    return Versions(hash_keys(*columns), np.array(sizes, dtype=np.int64))


@settings(max_examples=examples(150), derandomize=True, deadline=None)
@given(OBJECTS, OBJECTS)
def test_it_says_what_a_dictionary_of_strings_would(
    known: list[tuple[str, str, int]], asked: list[tuple[str, str, int]]
) -> None:
    asked = asked + known[::2]
    ledger = make_ledger([keys_of(known[:5]), keys_of(known[5:])])
    sizes: dict[tuple[str, str], set[int]] = {}
    for uri, etag, size in known:
        sizes.setdefault((uri, etag), set()).add(size)
    expected = [
        Known.NEW
        if (uri, etag) not in sizes
        else Known.KNOWN
        if size in sizes[uri, etag]
        else Known.OTHER_BYTES
        for uri, etag, size in asked
    ]
    assert look_up(ledger, *keys_of(asked)[:2]).tolist() == expected
    assert len(ledger) == len(known)


def test_keys_that_share_their_first_half_are_told_apart() -> None:
    first = np.uint64(2**64 - 1)
    keys = np.array([[first, 5], [first, 7], [first, 6], [3, 5]], dtype=np.uint64)
    ledger = make_ledger([Versions(keys, np.array([10, 20, 30, 40]))])
    asked = np.array([[first, 7], [first, 8], [first, 6], [3, 5], [3, 7], [first, 5]], dtype=np.uint64)
    assert ledger.longest == 3
    answer = look_up(ledger, asked, np.array([20, 20, 31, 40, 40, 10]))
    assert answer.tolist() == [Known.KNOWN, Known.NEW, Known.OTHER_BYTES, Known.KNOWN, Known.NEW, Known.KNOWN]


def test_a_hundred_thousand_cost_24_bytes_each() -> None:
    generator = np.random.default_rng(1)
    keys = generator.integers(0, 2**64, (100_000, 2), dtype=np.uint64)
    ledger = make_ledger([Versions(keys, np.arange(100_000))])
    assert ledger.first.nbytes + ledger.second.nbytes + ledger.size_bytes.nbytes == 2_400_000
    order = generator.permutation(100_000)
    assert (look_up(ledger, keys[order], order) == Known.KNOWN).all()
    assert (look_up(ledger, keys[order] ^ np.uint64(1), order) == Known.NEW).all()


def test_making_it_takes_40_bytes_an_image_at_the_most() -> None:
    generator = np.random.default_rng(2)
    images, each = 1_000_000, 4_096

    def pieces() -> Iterator[Versions]:
        for start in range(0, images, each):
            rows = min(each, images - start)
            yield Versions(generator.integers(0, 2**64, (rows, 2), dtype=np.uint64), np.zeros(rows, np.int64))

    tracemalloc.start()
    try:
        ledger = make_ledger(pieces())
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ledger) == images
    assert kept == pytest.approx(24 * images, rel=0.01)
    assert most < 41 * images


@settings(max_examples=examples(100), derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=40))
def test_the_longest_run_of_keys_with_one_first_half_is_counted(first: list[int]) -> None:
    keys = np.array([[half, place] for place, half in enumerate(first)], np.uint64).reshape(-1, 2)
    ledger = make_ledger([Versions(keys, np.zeros(len(first), np.int64))])
    assert ledger.longest == max(Counter(first).values(), default=0)


@settings(max_examples=examples(150), derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 3)), max_size=40), st.data()
)
def test_of_several_models_rows_an_image_is_known_once_and_by_the_first(
    rows: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    """However the rows come in pieces, and with images of the quarantine, which are nobody's, among them."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    pieces = []
    for start, end in pairwise([0, *cuts, len(rows)]):
        keys, sizes, _ = keys_of([(uri, "e", size) for uri, size, _ in rows[start:end]])
        pieces.append(Versions(keys, sizes, np.array([place for *_, place in rows[start:end]], np.uint16)))
    nobodys = data.draw(st.lists(st.sampled_from("abc"), max_size=1))
    pieces.insert(data.draw(st.integers(0, len(pieces))), keys_of([(uri, "e", 0) for uri in nobodys]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "JOINED_AT_ONCE", data.draw(st.integers(1, 5)))
        ledger = make_ledger(pieces)
    first: dict[tuple[str, int], int] = {(uri, 0): 0 for uri in nobodys}
    for uri, size, place in rows:
        first[uri, size] = min(place, first.get((uri, size), place))
    asked = [(uri, size) for uri in "abcd" for size in range(3)]
    answer, places = look_up_places(ledger, *keys_of([(uri, "e", size) for uri, size in asked])[:2])
    assert [place for known, place in zip(answer, places, strict=True) if known == Known.KNOWN] == [
        first[one] for one in asked if one in first
    ]
    assert (places[answer != Known.KNOWN] == 0).all()
    assert (answer == Known.KNOWN).tolist() == [one in first for one in asked]


def test_rows_of_three_models_take_as_much_memory_as_those_of_one() -> None:
    generator = np.random.default_rng(2)
    images, each = 1_000_000, 4_096
    keys = generator.integers(0, 2**64, (images, 2), dtype=np.uint64)

    def pieces() -> Iterator[Versions]:
        for place in range(3):
            for start in range(0, images, each):
                rows = keys[start : start + each].copy()
                yield Versions(rows, np.zeros(len(rows), np.int64), np.full(len(rows), place, np.uint16))

    tracemalloc.start()
    try:
        ledger = make_ledger(pieces())
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ledger) == images
    assert kept == pytest.approx(26 * images, rel=0.01)
    assert most < 56 * images


def test_an_image_without_an_etag_is_refused_and_not_taken_for_another() -> None:
    uris = pa.chunked_array([pa.array(["a", "b"])])
    with pytest.raises(ValueError, match="1 of 2 images have no uri or no etag"):
        hash_keys(uris, pa.chunked_array([pa.array(["1", None], pa.string())]))


def test_a_key_is_of_the_text_whatever_pieces_it_comes_in() -> None:
    uris, etags = pa.array([f"s3://é/{number}.jpg" for number in range(7)]), pa.array(list("aabbccd"))
    whole = hash_keys(pa.chunked_array([uris]), pa.chunked_array([etags]))
    pieces = hash_keys(pa.chunked_array([uris[:2], uris[2:]]), pa.chunked_array([etags[:5], etags[5:]]))
    assert (whole == pieces).all()
    assert len(np.unique(whole)) == 14, "both halves are hashes of their own"


# Rows that name an image by an older spelling of its path


def test_rows_under_an_older_spelling_are_the_same_images(tmp_path: Path) -> None:
    archive, workspace = tmp_path / "archive", str(tmp_path / "workspace")
    (archive / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("archive")
    older = [f"file://{tmp_path}/x/../archive/1.jpg", f"file://{tmp_path}/link/sub/2.jpg"]
    today = [f"file://{archive}/1.jpg", f"file://{archive}/sub/2.jpg", f"file://{archive}/3.jpg"]
    scored = [
        dict.fromkeys(SCORES.names)
        | {"uri": uri, "etag": "e", "size_bytes": 1, "model_name": "m", "model_version": "v", "run_id": "r"}
        | {"run_date": date(2026, 1, 2)}
        for uri in [*older, "s3://b/x/../3.jpg"]
    ]
    tables.append(workspace, "scores", pa.Table.from_pylist(scored, SCORES), "r")
    refused = pd.DataFrame({"uri": older, "etag": "e", "size_bytes": 1, "reason": "empty", "detail": "0 bytes"})
    tables.append(workspace, "quarantine", quarantine_rows(refused, "score", "r"), "r")

    keys, sizes, _ = keys_of([(uri, "e", 1) for uri in today])
    for known in (read_scored(workspace, [("m", "v")]), read_quarantined(workspace)):
        assert look_up(make_ledger(known), keys, sizes).tolist() == [Known.KNOWN, Known.KNOWN, Known.NEW]
    reasons = pa.table({"uri": today, "etag": ["e"] * 3, "reason": ["empty", "truncated", "empty"]})
    by_reason = make_ledger(read_quarantined(workspace, by_reason=True))
    assert look_up(by_reason, hash_reasons(reasons), sizes).tolist() == [Known.KNOWN, Known.NEW, Known.NEW]
    keys, sizes, _ = keys_of([("s3://b/x/../3.jpg", "e", 1), ("s3://b/3.jpg", "e", 1)])
    assert look_up(make_ledger(read_scored(workspace, [("m", "v")])), keys, sizes).tolist() == [
        Known.KNOWN,
        Known.NEW,
    ]
