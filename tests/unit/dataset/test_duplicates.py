"""Tests of skinml/dataset/duplicates.py."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from skinml.dataset.duplicates import (
    NEAR,
    _Buckets,
    _candidates,
    _crowds,
    find_duplicates,
    group_lesions,
)
from skinml.dataset.splits import split_fraction, split_of
from skinml.images.decode import decode
from skinml.images.fingerprint import perceptual_hashes
from tests.conftest import REAL_DATA
from tests.effort import examples

ZERO = bytes(32)
CHUNK_OF_BIT = np.add.outer(np.arange(16), np.arange(16)).ravel() % 16
"""The diagonals of the square of frequencies, which are compared first."""

TEXT = str(pd.Series(["a"], dtype="str").dtype)
"""What pandas calls a column of text: str, and object before pandas 3."""


def flipped(phash: bytes, *bits: int) -> bytes:
    """A hash with these bits turned over."""
    number = int.from_bytes(phash, "big")
    for bit in bits:
        number ^= 1 << bit
    return number.to_bytes(32, "big")


def table(phashes: Iterable[bytes | None], files: Iterable[object] | None = None) -> pd.DataFrame:
    """Images with these hashes, each with bytes of its own unless told otherwise."""
    images = pd.DataFrame({"phash": pd.Series(list(phashes), dtype=object)})
    contents = range(len(images)) if files is None else files
    images["sha256"] = pd.Series(
        [sha256(repr(content).encode()).hexdigest() for content in contents], dtype="str"
    )
    return images.assign(image_id="ISIC", lesion_id="HAM")


def found(images: pd.DataFrame, new: Iterable[bool] | None = None) -> list[tuple[int, int, str, int]]:
    fresh = np.ones(len(images), dtype=bool) if new is None else np.fromiter(new, dtype=bool)
    return list(find_duplicates(images, fresh).itertuples(index=False, name=None))


def bits_of(phashes: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(b"".join(phashes), dtype=np.uint8).reshape(-1, 32), axis=1)


def partition(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Each row's component, as its smallest row: plain propagation, another way than ours."""
    least = list(range(count))
    edges, changed = list(pairs), True
    while changed:
        changed = False
        for a, b in edges:
            low = min(least[a], least[b])
            changed |= least[a] != low or least[b] != low
            least[a] = least[b] = low
    return least


def all_pairs(images: pd.DataFrame) -> list[tuple[int, int]]:
    """Identical and near pairs, by comparing all with all."""
    rows = list(images[["sha256", "phash"]].itertuples(index=False, name=None))
    return [
        (a, b)
        for (a, (file_a, look_a)), (b, (file_b, look_b)) in combinations(enumerate(rows), 2)
        if file_a == file_b or (look_a and look_b and distance(look_a, look_b) <= NEAR)
    ]


def by_brute_force(images: pd.DataFrame, new: Sequence[bool]) -> list[tuple[int, int, str, int]]:
    """What `find_duplicates` says it finds, by comparing each image with all older ones: no index."""
    files, looks = images["sha256"].tolist(), images["phash"].tolist()
    older, speakers, links = list[int](), list[int](), list[tuple[int, int, str, int]]()
    for row in sorted(range(len(images)), key=lambda row: new[row]):
        identical = [other for other in older if files[other] == files[row]]
        links += [(other, row, "identical", 0) for other in identical[:1]]
        alike = [other for other in older if looks[row] and looks[other] == looks[row]]
        if looks[row] and not set(identical) & set(alike):  # the first of its hash speaks for it
            near = [(other, distance(looks[other], looks[row])) for other in alike[:1] or speakers]
            links += [(a, row, "near", bits) for a, bits in near if bits <= NEAR and files[a] != files[row]]
        speakers += [row] if looks[row] and not alike else []
        older.append(row)
    return sorted((min(a, b), max(a, b), kind, bits) for a, b, kind, bits in links if new[a] or new[b])


def distance(look: bytes, other: bytes) -> int:
    return (int.from_bytes(look) ^ int.from_bytes(other)).bit_count()


def test_what_comes_back() -> None:
    looks = [ZERO, flipped(ZERO, 3, 4), None, ZERO, flipped(ZERO, *range(NEAR + 1)), None]
    links = find_duplicates(table(looks, ["a", "b", "c", "a", "d", "c"]), np.ones(6, dtype=bool))
    assert {name: str(kind) for name, kind in links.dtypes.items()} == {
        "first": "int64",
        "second": "int64",
        "kind": TEXT,
        "distance": "int64",
    }
    assert list(links.itertuples(index=False, name=None)) == [
        (0, 1, "near", 2),
        (0, 3, "identical", 0),
        (1, 4, "near", NEAR - 1),
        (2, 5, "identical", 0),
    ]


@pytest.mark.parametrize("apart", [0, 1, 2, NEAR - 1, NEAR, NEAR + 1, 256])
def test_near_is_at_most_so_many_bits(apart: int) -> None:
    for seed in range(8):
        random = np.random.default_rng(seed)
        phash = random.bytes(32)
        other = flipped(phash, *random.permutation(256)[:apart].tolist())
        assert found(table([phash, other])) == ([(0, 1, "near", apart)] if apart <= NEAR else [])


def test_the_bits_that_differ_may_lie_anywhere() -> None:
    """All in one row, column or diagonal of the frequencies, so in one chunk, or spread over all chunks."""
    square = np.arange(256).reshape(16, 16)
    rolled = np.stack([np.roll(row, -shift) for shift, row in enumerate(square)])
    back = np.stack([np.roll(row, shift) for shift, row in enumerate(square)])
    for layout in (square, square.T, rolled.T, back.T, rolled, back):
        for start in (0, 5, 16):
            bits = layout.ravel()[start : start + NEAR].tolist()
            assert found(table([ZERO, flipped(ZERO, *bits)])) == [(0, 1, "near", NEAR)]


@pytest.mark.parametrize("place", range(16))
def test_the_one_bit_in_which_a_chunk_may_differ_is_any_of_its_16(place: int) -> None:
    """Two chunks differ in that bit alone and 14 in two bits: no chunk is equal, and the distance is NEAR."""
    phash = np.random.default_rng(place).integers(0, 2, 256, dtype=np.uint8)
    other = phash.copy()
    for chunk in range(16):
        bits = np.flatnonzero(chunk == CHUNK_OF_BIT)
        other[bits[[place]] if chunk in (place, (place + 1) % 16) else bits[[2, 9]]] ^= 1
    looks = [np.packbits(row).tobytes() for row in (phash, other)]
    assert found(table(looks)) == [(0, 1, "near", NEAR)]


def test_copies_are_linked_to_one_of_them() -> None:
    identical = table([ZERO] * 200, ["same"] * 200)
    assert found(identical) == [(0, row, "identical", 0) for row in range(1, 200)]
    one_look = table([ZERO] * 200)
    assert found(one_look) == [(0, row, "near", 0) for row in range(1, 200)]
    # 100 copies of one file near 100 copies of another one: one near link is enough.
    both = table([ZERO] * 100 + [flipped(ZERO, 9)] * 100, ["a"] * 100 + ["b"] * 100)
    links = find_duplicates(both, np.ones(200, dtype=bool))
    assert links["kind"].value_counts().to_dict() == {"identical": 198, "near": 1}


def test_nothing_in_nothing_out() -> None:
    assert found(table([])) == []
    assert found(table([None, None, None])) == []
    assert found(table([ZERO])) == []
    assert found(table([ZERO, ZERO], ["a", "a"]), [False, False]) == []
    assert str(find_duplicates(table([]), np.empty(0, dtype=bool))["kind"].dtype) == TEXT


def test_a_missing_hash_may_be_nan_as_a_table_reads_it() -> None:
    images = table([ZERO, None, ZERO, None])
    images["phash"] = images["phash"].where(images["phash"].notna(), np.nan)
    assert found(images) == [(0, 2, "near", 0)]


def test_pairs_of_old_images_are_left_out() -> None:
    images = table([ZERO, flipped(ZERO, 1), flipped(ZERO, 2), ZERO, ZERO], ["a", "b", "c", "d", "a"])
    links = found(images, [False, False, True, False, True])
    assert links == [(0, 2, "near", 1), (0, 4, "identical", 0), (1, 2, "near", 2)]


def test_every_pair_is_a_link_where_images_are_few_and_hashes_differ() -> None:
    random = np.random.default_rng(3)
    base = [random.bytes(32) for _ in range(40)]
    looks = [
        flipped(base[k % 40], *random.permutation(256)[: random.integers(1, 24)].tolist()) for k in range(120)
    ]
    images = table(looks)
    assert [(a, b) for a, b, *_ in found(images)] == sorted(all_pairs(images))


def test_pairs_with_one_chunk_in_common_are_found_among_many_candidates() -> None:
    """2,000 images in 64 buckets, and for each a partner that is far in all chunks but that of the bucket."""
    random = np.random.default_rng(4)
    bits = random.integers(0, 2, (2000, 256), dtype=np.uint8)
    bits[:, np.flatnonzero(CHUNK_OF_BIT == 0)[6:]] = 0
    partners = bits.copy()
    for chunk in range(1, 16):
        partners[:, np.flatnonzero(chunk == CHUNK_OF_BIT)[[3, 12]]] ^= 1
    images = table(row.tobytes() for row in np.packbits(np.concatenate([bits, partners]), axis=1))
    assert found(images) == [(row, 2000 + row, "near", NEAR) for row in range(2000)]


@st.composite
def archives(draw: st.DrawFn) -> tuple[pd.DataFrame, list[int]]:
    """A small archive with clumps, copies and missing hashes, and the run that brings each image."""
    count = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    centres = [random.bytes(32) for _ in range(3)]
    looks: list[bytes | None] = []
    for _ in range(count):
        # Hashes about NEAR apart, so that many are connected only over others.
        away = draw(st.integers(0, 22))
        centre = centres[draw(st.integers(0, 2))]
        look = flipped(centre, *random.permutation(256)[:away].tolist())
        looks.append(None if draw(st.integers(0, 9)) == 0 else look)
    files = draw(st.lists(st.integers(0, 30), min_size=count, max_size=count))
    runs = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return table(looks, files), runs


@st.composite
def wild_archives(draw: st.DrawFn) -> tuple[pd.DataFrame, list[bool]]:
    """Any hashes, and others planted at all distances from them, about NEAR most of all, in bits anywhere."""
    count = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    layouts = [random.permutation(256), np.arange(256), CHUNK_OF_BIT.argsort(kind="stable")]
    distances = st.sampled_from([0, 1, 2, 16, *range(NEAR - 3, NEAR + 4), 255, 256])
    looks: list[bytes | None] = [ZERO]
    for _ in range(count):
        away, layout, turn = draw(distances), draw(st.sampled_from(layouts)), draw(st.integers(0, 255))
        bits: list[int] = np.roll(layout, turn)[:away].tolist()
        planted = flipped(draw(st.sampled_from(looks)) or ZERO, *bits)
        looks.append(draw(st.sampled_from([planted, planted, planted, random.bytes(32), None])))
    files = draw(st.lists(st.integers(0, 60), min_size=len(looks), max_size=len(looks)))
    new = draw(st.lists(st.booleans(), min_size=len(looks), max_size=len(looks)))
    return table(looks, files), new


@settings(deadline=None, max_examples=examples(100))
@given(wild_archives())
def test_the_links_are_those_of_brute_force(archive: tuple[pd.DataFrame, list[bool]]) -> None:
    images, new = archive
    assert found(images, new) == by_brute_force(images, new)


@pytest.mark.parametrize("crowd", [None, 8])
@settings(deadline=None, max_examples=examples(40))
@given(archive=archives())
def test_links_of_all_runs_connect_what_all_pairs_connect(
    archive: tuple[pd.DataFrame, list[int]], crowd: int | None
) -> None:
    """Also where three images with one chunk are a crowd already, in which links are spared."""
    images, runs = archive
    arrived = np.asarray(runs, dtype=np.int64)
    pairs: list[tuple[int, int]] = []
    real = set(all_pairs(images))
    for run in range(4):
        here = np.flatnonzero(arrived <= run)
        with pytest.MonkeyPatch.context() as patch:
            if crowd is not None:
                patch.setattr("skinml.dataset.duplicates._CROWD", crowd)
            links = find_duplicates(images.iloc[here].reset_index(drop=True), arrived[here] == run)
        rows = [(int(here[a]), int(here[b])) for a, b in zip(links["first"], links["second"], strict=True)]
        assert set(rows) <= real
        assert all(max(arrived[a], arrived[b]) == run for a, b in rows)
        pairs += rows
    assert len(pairs) == len(set(pairs)), "a pair is found once"
    assert partition(len(images), pairs) == partition(len(images), real)


def brute_components(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Components of the near graph, breadth first, for thousands of hashes."""
    signs = bits.astype(np.float32) * 2 - 1
    component = np.full(len(bits), -1)
    for row in range(len(bits)):
        frontier = np.array([row]) if component[row] < 0 else np.empty(0, dtype=np.int64)
        while len(frontier):
            component[frontier] = row
            rest = np.flatnonzero(component < 0)
            near = (256 - signs[rest] @ signs[frontier].T) / 2 <= NEAR
            frontier = rest[near.any(axis=1)]
    return component


@pytest.mark.parametrize("noise", [0.004, 0.03, 0.06])
@pytest.mark.parametrize("old", [0, 1400])
def test_a_crowd_is_connected_by_few_links(noise: float, old: int) -> None:
    """Near images by the hundred, in clumps with bridges, among others: components are those of all pairs."""
    random = np.random.default_rng(5)
    centre, other = random.integers(0, 2, (2, 256), dtype=np.uint8)
    next_door = centre.copy()
    next_door[CHUNK_OF_BIT.argsort(kind="stable")[::16]] ^= 1  # one bit in each chunk: no chunk is the same
    clumps = [point ^ (random.random((450, 256)) < noise) for point in (centre, next_door, other)]
    bridge = np.where(random.random((12, 256)) < np.linspace(0, 1, 12)[:, None], centre, other)
    strangers = random.integers(0, 2, (138, 256), dtype=np.uint8)
    bits = random.permutation(np.concatenate([*clumps, bridge, strangers]).astype(np.uint8))
    images = table(row.tobytes() for row in np.packbits(bits, axis=1))
    new = np.arange(1500) >= old
    links = find_duplicates(images, new)
    expected = brute_components(bits)
    assert len(np.unique(expected)) < 1500 - 800

    pairs = list(zip(links["first"].tolist(), links["second"].tolist(), strict=True))
    if old:
        earlier = find_duplicates(images[:old], np.ones(old, dtype=bool))
        pairs += zip(earlier["first"].tolist(), earlier["second"].tolist(), strict=True)
    got = partition(1500, pairs)
    assert pd.Series(got).groupby(expected).nunique().eq(1).all(), "connected in the graph, so by links"
    assert pd.Series(expected).groupby(got).nunique().eq(1).all(), "connected by links, so in the graph"
    distance = np.count_nonzero(bits[links["first"]] != bits[links["second"]], axis=1)
    np.testing.assert_array_equal(links["distance"], distance)
    assert new[links[["first", "second"]].to_numpy()].any(axis=1).all()
    assert len(links) < 40_000, "300,000 pairs are near"
    assert not links.duplicated(["first", "second"]).any()


@pytest.mark.parametrize("new", [0, 150, 900, 1200])
def test_crowds_and_candidates_are_together_all_pairs_to_compare(new: int) -> None:
    """A few values that most rows have, some of them one bit apart, so that both ways have much to do."""
    random = np.random.default_rng(new)
    common = np.array([5, 5 ^ 8, 77], dtype=np.uint16)
    values = np.where(random.random(1200) < 0.9, random.choice(common, 1200), random.integers(0, 64, 1200))
    bucket = _Buckets.of(values.astype(np.uint16))
    apart = np.bitwise_count(values[:, None].astype(np.uint16) ^ values.astype(np.uint16))
    expected = (apart <= 1) & (np.arange(1200) < new)[:, None] & ~np.eye(1200, dtype=bool)
    few, many = np.zeros((2, 1200, 1200), dtype=bool)
    for rows, others in _candidates(bucket, new):
        assert not few[rows, others].any()
        few[rows, others] = True
    for rows, others in _crowds(bucket, new):
        many[np.ix_(rows, others)] = True
    assert not (few & few.T).any(), "once"
    assert not ((few | few.T) & (many | many.T)).any(), "one way or the other"
    assert few.any() == many.any() == (new > 0)
    np.fill_diagonal(many, False)
    np.testing.assert_array_equal(few | few.T | many | many.T, expected | expected.T)


def test_ten_thousand_near_images_take_no_forever() -> None:
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, 256, dtype=np.uint8) ^ (random.random((10_000, 256)) < 0.03)
    images = table(row.tobytes() for row in np.packbits(bits, axis=1))
    begun = time.perf_counter()
    links = find_duplicates(images, np.ones(len(images), dtype=bool))
    assert time.perf_counter() - begun < 30  # 1 s; comparing and listing 50 million pairs takes minutes
    assert 9_999 <= len(links) < 60_000
    assert set(partition(10_000, zip(links["first"], links["second"], strict=True))) == {0}


def test_images_that_share_chunks_are_compared_and_not_linked() -> None:
    """Half of every hash is the same, the other half is chance: crowds, in which nothing is near."""
    bits = np.random.default_rng(2).integers(0, 2, (1000, 256), dtype=np.uint8)
    bits[:, CHUNK_OF_BIT < 8] = 0
    assert found(table(row.tobytes() for row in np.packbits(bits, axis=1))) == []


lesions = st.sampled_from([f"HAM_{number:07d}" for number in range(14)])
pairs_of_lesions = st.lists(st.tuples(lesions, lesions), max_size=12)


def grouped_by_runs(runs: Iterable[list[tuple[str, str]]]) -> dict[str, str]:
    groups: dict[str, str] = {}
    for pairs in runs:
        groups |= group_lesions(pd.DataFrame(pairs, columns=["lesion_a", "lesion_b"]), groups)
    return groups


def members(groups: Mapping[str, str], lesion: str) -> set[str]:
    name = groups.get(lesion, lesion)
    return {name, *(other for other, group in groups.items() if group == name)}


def test_a_group_is_named_after_its_member_nearest_to_train() -> None:
    a, b, c, d = sorted((f"HAM_{number}" for number in range(4)), key=split_fraction)
    assert grouped_by_runs([[(c, d)]]) == {d: c}
    assert grouped_by_runs([[(c, d)], [(b, d)]]) == {c: b, d: b}
    assert grouped_by_runs([[(c, d)], [(b, a)], [(d, b)]]) == {b: a, c: a, d: a}


def test_only_lesions_whose_group_is_another_one_come_back() -> None:
    a, b, c = sorted(("HAM_1", "HAM_2", "HAM_3"), key=split_fraction)
    links = pd.DataFrame({"lesion_a": [c, a, b], "lesion_b": [b, a, c]})
    assert group_lesions(links, {}) == {c: b}
    assert group_lesions(links, {c: b}) == {}
    assert group_lesions(links, {c: b, b: b, a: a}) == {}
    assert group_lesions(links.iloc[:0], {c: b}) == {}
    assert group_lesions(pd.DataFrame({"lesion_a": [c], "lesion_b": [a]}), {c: b}) == {b: a, c: a}


@given(pairs_of_lesions, st.data())
def test_groups_do_not_depend_on_order_or_runs(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    at_once = grouped_by_runs([pairs])
    shuffled = data.draw(st.permutations(pairs))
    turned = [(b, a) if data.draw(st.booleans()) else (a, b) for a, b in shuffled]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pairs)), max_size=3)))
    runs = [turned[a:b] for a, b in zip([0, *cuts], [*cuts, len(pairs)], strict=True)]
    assert grouped_by_runs(runs) == at_once
    names = sorted({lesion for pair in pairs for lesion in pair})
    expected = partition(len(names), [(names.index(a), names.index(b)) for a, b in pairs])
    for lesion, component in zip(names, expected, strict=True):
        together = {other for other, number in zip(names, expected, strict=True) if number == component}
        assert members(at_once, lesion) == together
        assert at_once.get(lesion, lesion) == min(together, key=split_fraction)


@given(st.lists(pairs_of_lesions, max_size=5))
def test_a_lesion_moves_towards_train_alone(runs: list[list[tuple[str, str]]]) -> None:
    """What a model was fitted on is in no later test set, however groups grow."""
    order = ["train", "val", "test"]
    groups: dict[str, str] = {}
    everyone = sorted({lesion for pairs in runs for pair in pairs for lesion in pair})
    before = {lesion: split_of(lesion) for lesion in everyone}
    for pairs in runs:
        groups |= group_lesions(pd.DataFrame(pairs, columns=["lesion_a", "lesion_b"]), groups)
        after = {lesion: split_of(groups.get(lesion, lesion)) for lesion in everyone}
        assert all(order.index(after[lesion]) <= order.index(before[lesion]) for lesion in everyone)
        assert all(after[a] == after[b] for a, b in pairs)
        before = after


@pytest.mark.skipif(not REAL_DATA.exists(), reason="HAM10000 is not here")
def test_the_known_duplicates_of_ham10000_are_found() -> None:
    """Two identical pairs, one photograph with two lesion_ids, and two look-alikes that are not the same."""
    known = ["ISIC_0024366", "ISIC_0024777", "ISIC_0025226", "ISIC_0027757"]
    copies = ["ISIC_0029861", "ISIC_0029938", "ISIC_0030074", "ISIC_0032082"]
    root = REAL_DATA / "ham10000"
    paths = {path.stem: path for path in root.glob("HAM10000_images_part_*/*.jpg")}
    others = sorted(set(paths) - {*known, *copies})[::50]
    images = pd.DataFrame({"image_id": [*known, *others, *copies]})
    data = [paths[image_id].read_bytes() for image_id in images["image_id"]]
    images["sha256"] = [sha256(content).hexdigest() for content in data]
    images["phash"] = perceptual_hashes(np.stack([decode(content, 64, "fast").pixels for content in data]))
    links = find_duplicates(images, np.ones(len(images), dtype=bool))
    names = images["image_id"].to_numpy()
    kinds = {(names[a], names[b]): kind for a, b, kind, _ in links.itertuples(index=False, name=None)}
    among_known = {pair: kind for pair, kind in kinds.items() if set(pair) <= {*known, *copies}}
    assert among_known == {
        ("ISIC_0024366", "ISIC_0029861"): "identical",
        ("ISIC_0024777", "ISIC_0029938"): "identical",
        ("ISIC_0025226", "ISIC_0030074"): "near",
    }
