"""Which images are the same photograph, and which lesions therefore share a split: pure functions on tables.

The index is our own: 50,000 hashes take 0.7 CPU s. All pairs in NumPy take 6.8, and scikit-learn's BallTree
33 for 10,000. A brute-force reference in the tests holds it to the same links.

Identical is equal SHA-256; near is a perceptual hash (skinml.images.fingerprint) at most NEAR of 256 bits away.
Near pairs are found by multi-index hashing (Norouzi, Punjani, Fleet, "Fast search in Hamming space with
multi-index hashing", CVPR 2012): where 16 chunks of 16 bits differ in at most 31 bits altogether, one of them
differs in at most one. So only images with such a chunk are compared, about 0.7 % of all pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.dataset.splits import split_fraction

NEAR = 30
"""The most bits of 256 in which the hashes of one photograph may differ; distances of these hashes are even.

Measured on HAM10000, 10,015 images. One photograph from a 300x225 px file of quality 85 and a 600x450 px file
of quality 75, prepared at any two sizes from 32 to 224 px: at most 28. Images of different lesions: from 32 at
64 px (34 at 32 and 128 px), small dark spots in the middle of even skin. All 111 pairs at most 30 apart at
64 px, one of them with two lesion_ids, look like one photograph or two of one sitting.

Wrongly linked: 1 of 300 million pairs of a photograph and another one mirrored, which cannot be duplicates, so
some 4 among 50,000 images, growing with the square; each costs no more than that two lesions share a split.
Missed: mirrored and turned copies (all), crops by 2 % on each side (a third), new photographs of a lesion
(most), and what was recoloured and shifted at once: HAM10000 has one such pair with two lesion_ids, 38 apart,
where false ones are as many.
"""

_CHUNKS = 16
_CHUNK_OF_BIT = np.add.outer(np.arange(16), np.arange(16)) % _CHUNKS
"""Bits go to chunks by diagonals of the 16 x 16 frequencies: those of one row depend on each other, and the
first row and column are lopsided. On HAM10000 whole rows as chunks would yield twice the candidates."""

_FLIPS = np.array([0, *(1 << bit for bit in range(16))], dtype=np.int64)
"""What two chunks differ by that are equal in all bits but one, or in all."""

_CROWD = 2**14
"""Two chunk values shared by more pairs of images than this are a crowd, where links are spared."""

_AT_ONCE = 2**18  # pairs compared in one step: some 10 MB

Rows = NDArray[np.int64]
"""Positions of rows, shape (k,)."""

Thing = TypeVar("Thing", bound=Hashable)


def find_duplicates(images: pd.DataFrame, new: NDArray[np.bool_]) -> pd.DataFrame:
    """Links between images that are the same photograph, each with a new image in it.

    The links of all runs together connect the same images, directly or over others, as all identical and
    near pairs do. They are not all those pairs: k identical images have k - 1 links, all to one of them, and
    so have k images with one hash; it alone is linked to other hashes. And in a crowd (hundreds of near
    images with tens of thousands of pairs) no more are listed than it takes to connect it.

    50,000 new images take 1 s and 55 MB, 100 new ones among 50,000 take 0.1 s (one core). Thousands of near
    images are no trouble; thousands that share a chunk without being near cost a comparison of all with all.

    Args:
        images: one row per image: sha256 (hex) and phash (32 bytes; None or NaN for an image without
            structure, which is near to no other). Other columns are not looked at.
        new: shape (n,), the rows that this run brought; pairs of old rows were found when they were new.

    Returns:
        In order of first, second: int64 positions of rows, first < second; kind, "identical" or "near";
        distance, int64, the bits in which the hashes differ, 0 where identical.

    """
    by_age = np.concatenate([np.flatnonzero(~new), np.flatnonzero(new)])  # the first of its equals speaks
    files = _numbered(images["sha256"])
    identical = _to_first_equal(files, by_age)

    hashed = by_age[images["phash"].notna().to_numpy()[by_age]]
    looks = _numbered(images["phash"])
    hashed = hashed[_first_of_each(looks[hashed] * len(images) + files[hashed])]
    alike = _to_first_equal(looks, hashed)

    distinct = hashed[_first_of_each(looks[hashed])]
    distinct = np.concatenate([distinct[new[distinct]], distinct[~new[distinct]]])
    bits = np.frombuffer(b"".join(images["phash"].iloc[distinct]), dtype=np.uint8).reshape(-1, 32)
    first, second, distance = _near_pairs(bits, int(new[distinct].sum()))
    other_file = files[distinct[first]] != files[distinct[second]]
    near = np.stack([distinct[first], distinct[second]], axis=1)[other_file]

    pairs = np.concatenate([identical, alike, near])
    pairs.sort(axis=1)
    links = pd.DataFrame(pairs, columns=["first", "second"])
    links["kind"] = pd.Series(np.where(links.index < len(identical), "identical", "near"), dtype="str")
    links["distance"] = 0
    links.loc[len(identical) + len(alike) :, "distance"] = distance[other_file]
    of_this_run: pd.DataFrame = links[new[pairs].any(axis=1)]
    return of_this_run.sort_values(["first", "second"], ignore_index=True)


def group_lesions(links: pd.DataFrame, groups: Mapping[str, str]) -> dict[str, str]:
    """The groups that change when linked lesions are put together.

    A group bears the name of its member with the smallest split fraction (`skinml.dataset.splits`), so the
    outcome is the same in whatever order, and over however many runs, the links were found.

    Args:
        links: lesion_a, lesion_b: lesions that have an image of the same photograph. A lesion may be linked
            to itself, which changes nothing.
        groups: what earlier calls returned, all together: lesion to group. A lesion that is not in it is a
            group of its own.

    Returns:
        Lesion to group, for every lesion whose group is another one now.

    """
    names = [
        (groups.get(a, a), groups.get(b, b)) for a, b in zip(links["lesion_a"], links["lesion_b"], strict=True)
    ]
    merged = _least_connected(names, lambda lesion: (split_fraction(lesion), lesion))
    lesions = {*groups, *merged}
    before = {lesion: groups.get(lesion, lesion) for lesion in lesions}
    return {lesion: merged[name] for lesion, name in before.items() if merged.get(name, name) != name}


def _least_connected(pairs: Iterable[tuple[Thing, Thing]], rank: Callable[[Thing], Any]) -> dict[Thing, Thing]:
    """Each thing in a pair to the lowest-ranking one that it is connected with (union-find, paths halved).

    SciPy's DisjointSet does the same, but `prepare` has no SciPy: 143 MB to install.
    """
    parent: dict[Thing, Thing] = {}

    def root(thing: Thing) -> Thing:
        while parent.setdefault(thing, thing) != thing:
            parent[thing] = parent[parent[thing]]
            thing = parent[thing]
        return thing

    for a, b in pairs:
        low, high = sorted((root(a), root(b)), key=rank)
        parent[high] = low
    return {thing: root(thing) for thing in list(parent)}


def _numbered(values: pd.Series[Any]) -> Rows:
    """Equal values as equal numbers from 0; missing ones as -1."""
    return np.asarray(pd.factorize(values.to_numpy(dtype=object))[0], dtype=np.int64)


def _first_of_each(numbers: Rows) -> Rows:
    """Where each number occurs first, in order."""
    return np.sort(np.unique(numbers, return_index=True)[1])


def _to_first_equal(numbers: Rows, rows: Rows) -> NDArray[np.int64]:
    """Pairs (k, 2) of each row with the first of `rows` that has its number; the first itself has none."""
    _, firsts, group = np.unique(numbers[rows], return_index=True, return_inverse=True)
    first = rows[firsts[group]]
    return np.stack([first[first != rows], rows[first != rows]], axis=1)


def _near_pairs(bits: NDArray[np.uint8], new: int) -> tuple[Rows, Rows, Rows]:
    """Near pairs of distinct hashes, shape (n, 32), the first `new` of them new: rows, rows and distances."""
    words = np.ascontiguousarray(bits.view(np.uint64).T)
    chunks = _chunks(bits)
    component = np.arange(len(bits))
    found = [np.empty((0, 2), dtype=np.int64)]
    for chunk in chunks:
        for rows, others in _crowds(_Buckets.of(chunk), new):
            found += _connect(words, rows, others, component)
    for chunk in chunks:
        for rows, others in _candidates(_Buckets.of(chunk), new):
            apart = component[rows] != component[others]  # in a crowd, those that are connected already
            found.append(_near_of(words, rows[apart], others[apart]))
    first, second = np.unique(np.sort(np.concatenate(found), axis=1), axis=0).T  # a crowd gives both orders
    return first, second, np.bitwise_count(words[:, first] ^ words[:, second]).sum(axis=0, dtype=np.int64)


def _chunks(bits: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The 16 chunks of each hash, shape (16, n)."""
    by_chunk = np.argsort(_CHUNK_OF_BIT, axis=None, kind="stable")
    dealt = np.packbits(np.unpackbits(bits, axis=1).take(by_chunk, axis=1), axis=1)
    return np.ascontiguousarray(dealt.view(np.uint16).T)


@dataclass(frozen=True)
class _Buckets:
    """Rows by the value of one chunk."""

    values: NDArray[np.uint16]  # of each row
    order: Rows  # rows by value, those of one value in order
    starts: Rows  # of each possible value, where its rows begin in `order`
    counts: Rows  # of each possible value, how many rows have it

    @staticmethod
    def of(values: NDArray[np.uint16]) -> _Buckets:
        counts = np.bincount(values, minlength=2**16)
        return _Buckets(values, np.argsort(values, kind="stable"), np.cumsum(counts) - counts, counts)

    def rows(self, value: int) -> Rows:
        return self.order[self.starts[value] : self.starts[value] + self.counts[value]]


def _candidates(bucket: _Buckets, new: int) -> Iterator[tuple[Rows, Rows]]:
    """Every pair of a new row and another whose chunks differ in at most one bit, once, crowds left out."""
    mine = bucket.values[:new].astype(np.int64)[:, None]
    values = (mine ^ _FLIPS).ravel()
    sizes = bucket.counts[values]
    sizes[np.repeat(bucket.counts[mine], len(_FLIPS)) * sizes > _CROWD] = 0
    lookups = np.flatnonzero(sizes)
    sizes, starts = sizes[lookups], bucket.starts[values[lookups]]
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.arange(0, ends[-1] if len(ends) else 0, _AT_ONCE))
    for begin, end in pairwise([*cuts, len(ends)]):
        size = sizes[begin:end]
        skipped = np.repeat(starts[begin:end] - (np.cumsum(size) - size), size)
        others = bucket.order[skipped + np.arange(len(skipped))]
        rows = np.repeat(lookups[begin:end] // len(_FLIPS), size)
        once = (others >= new) | (others < rows)
        yield rows[once], others[once]


def _near_of(words: NDArray[np.uint64], rows: Rows, others: Rows) -> NDArray[np.int64]:
    """Those of the pairs that are near, shape (k, 2). Most are too far apart after the first two words."""
    distance = np.zeros(len(rows), dtype=np.uint16)
    for word in words:
        distance = distance + np.bitwise_count(word[rows] ^ word[others])
        still = distance <= NEAR
        rows, others, distance = rows[still], others[still], distance[still]
    return np.stack([rows, others], axis=1)


def _crowds(bucket: _Buckets, new: int) -> Iterator[tuple[Rows, Rows]]:
    """The pairs that `_candidates` leaves out, as blocks: some new rows and all rows to compare them with."""
    present = np.flatnonzero(bucket.counts)
    if bucket.counts.max() ** 2 <= _CROWD:
        return
    for flip in _FLIPS:
        flipped = present ^ flip
        crowded = bucket.counts[present] * bucket.counts[flipped] > _CROWD
        for value in present[crowded & (present <= flipped)]:
            left, right = bucket.rows(value), bucket.rows(value ^ flip)
            old = left[left >= new]
            for rows, others in [(left, right)] if flip == 0 else [(left, right), (right, old)]:
                fresh = rows[rows < new]
                for begin in range(0, len(fresh), 256):
                    # Within one bucket the rows before these were compared with them already.
                    for start in range(begin if flip == 0 else 0, len(others), 1024):
                        yield fresh[begin : begin + 256], others[start : start + 1024]


def _connect(
    words: NDArray[np.uint64], rows: Rows, others: Rows, component: Rows
) -> Iterator[NDArray[np.int64]]:
    """As many near pairs, shape (k, 2), as it takes to connect what they connect; `component` is updated."""
    near = component[rows][:, None] != component[others]
    if not near.any():
        return
    distance = np.zeros(near.shape, dtype=np.uint16)
    for word in words:
        distance += np.bitwise_count(word[rows][:, None] ^ word[others])
    near &= distance <= NEAR
    while near.any():
        column = np.flatnonzero(near.any(axis=0))
        pairs = np.stack([rows[near.argmax(axis=0)[column]], others[column]], axis=1)
        yield pairs
        joined: list[tuple[int, int]] = component[pairs].tolist()
        least = _least_connected(joined, lambda number: number)
        becomes = np.arange(len(component))
        becomes[list(least)] = list(least.values())
        component[:] = becomes[component]
        near &= component[rows][:, None] != component[others]
