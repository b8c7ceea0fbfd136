"""Tests of skinml/training/inputs.py, on a folder and in a bucket."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skinml.dataset.shard_files import Shard
from skinml.errors import RunError, StorageError
from skinml.storage.objects import read_bytes, write_bytes
from skinml.training.inputs import COLUMNS, PARTS, Inputs, _smallest, read_inputs, write_inputs
from tests.unit.training.datasets import inputs_of

SHARDS = (Shard(0, 60, 2**33), Shard(7, 40, 4928))


def _inputs(count: int = 100) -> Inputs:
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, 7, count)
    train = generator.integers(0, count, 3 * count)  # repeats count, and so does their order
    rest = generator.permutation(count)
    lesions = generator.integers(-1, count, count)
    return inputs_of(SHARDS, labels, train, rest[: count // 2], rest[count // 2 :], lesions=lesions)


def test_inputs_are_read_as_they_were_written(place: str) -> None:
    inputs, url = _inputs(), f"{place}/under_way/run/inputs.npz"
    found = read_inputs(url, write_inputs(url, inputs))
    assert found.shards == SHARDS
    for name in (*COLUMNS, *PARTS):
        values = getattr(found, name)
        assert values.dtype == np.int64
        np.testing.assert_array_equal(values, getattr(inputs, name))


def test_other_inputs_than_the_jobs_are_refused(place: str) -> None:
    url = f"{place}/inputs.npz"
    sha256 = write_inputs(url, _inputs())
    data = read_bytes(url)
    write_bytes(url, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(RunError, match=r"SHA-256 [0-9a-f]{12}… is not the [0-9a-f]{12}… that the job names"):
        read_inputs(url, sha256)
    with pytest.raises(StorageError, match="not found"):
        read_inputs(f"{place}/elsewhere.npz", sha256)


def test_the_same_inputs_are_the_same_bytes(place: str) -> None:
    """So that a stage that is tried again leaves what a job names."""
    first = write_inputs(f"{place}/a.npz", _inputs())
    assert write_inputs(f"{place}/b.npz", _inputs()) == first


@given(arrays.arrays(np.int64, st.integers(0, 20), elements=st.integers(-(2**63), 2**63 - 1)))
def test_no_number_is_changed_by_taking_less_room(values: np.ndarray) -> None:
    np.testing.assert_array_equal(_smallest(values).astype(np.int64), values)


def test_labels_take_a_byte_and_positions_four() -> None:
    assert _smallest(np.arange(-1, 7)).dtype == np.int8
    assert _smallest(np.arange(1_000_000)).dtype.itemsize == 4
