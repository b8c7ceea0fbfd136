"""Tests of skinml/training/pixels.py: the parts that need no Keras. `batches` is tested with the fit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.training.pixels import epoch_order, gather

ROWS = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)


@given(
    cuts=st.lists(st.integers(0, 60), max_size=5),
    positions=st.lists(st.integers(0, 59), max_size=40),
)
def test_gather_equals_indexing_the_concatenation(cuts: list[int], positions: list[int]) -> None:
    shards = np.split(ROWS, sorted(cuts))  # some of them empty
    wanted = np.array(positions, dtype=np.int64)
    gathered = gather(shards, wanted)
    assert gathered.dtype == np.uint8
    np.testing.assert_array_equal(gathered, ROWS[wanted])


@pytest.mark.parametrize("outside", [-1, 60])
def test_a_position_outside_is_named(outside: int) -> None:
    with pytest.raises(IndexError, match=f"position {outside} is none of the 60 rows"):
        gather([ROWS[:20], ROWS[20:]], np.array([3, outside]))


def test_gather_returns_a_copy_of_memory_maps(tmp_path: Path) -> None:
    for number, part in enumerate(np.split(ROWS, [25])):
        np.save(tmp_path / f"{number}.npy", part)
    shards = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(2)]
    gathered = gather(shards, np.array([24, 25]))
    np.testing.assert_array_equal(gathered, ROWS[[24, 25]])
    gathered[:] = 0
    np.testing.assert_array_equal(gather(shards, np.array([24, 25])), ROWS[[24, 25]])


def test_epoch_order_is_a_function_of_seed_and_epoch() -> None:
    labels = np.arange(60) % 7
    train = np.concatenate([np.arange(10, 40), [10, 10]])  # repeats, as resampling gives them
    for sampling in (0, 0.5, 1):
        order = epoch_order(labels, train, sampling, seed=1, epoch=3)
        assert len(order) == len(train)
        assert order.tolist() == epoch_order(labels, train, sampling, seed=1, epoch=3).tolist()
        assert order.tolist() != epoch_order(labels, train, sampling, seed=1, epoch=4).tolist()
        assert order.tolist() != epoch_order(labels, train, sampling, seed=2, epoch=3).tolist()
    assert sorted(epoch_order(labels, train, 0, 1, 3)) == sorted(train)
    counts = np.bincount(labels[epoch_order(labels, train, 1, 1, 3)], minlength=7)
    assert counts.max() - counts.min() <= 1


def test_names_and_orders_are_had_without_keras() -> None:
    code = (
        "import sys, skinml.training.pixels, skinml.training.protocols, skinml.evaluation.metrics,"
        " skinml.training.process, skinml.training.fit, skinml.training.learner, skinml.models.zoo,"
        " skinml.models.onnx;"
        " skinml.models.zoo.architecture('thesis-cnn').size;"
        " loaded = {'keras', 'tensorflow', 'sklearn', 'onnx', 'matplotlib'} & set(sys.modules);"
        " sys.exit(', '.join(loaded) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
