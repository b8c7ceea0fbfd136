"""The training benchmark: what it times, and that a promise that is broken is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness.bench import Bench
from benchmarks.training.__main__ import BENCHMARK
from benchmarks.training.render import ratio, section
from benchmarks.training.sections import augmentation
from tests.conftest import REPOSITORY


def test_the_ratio_is_of_pairs_of_epochs() -> None:
    assert ratio({"ours": [1.0, 2.0, 4.0], "bare": [1.0, 1.0, 4.0]}) == 1.0


def test_a_promise_that_is_broken_is_said() -> None:
    recorded = json.loads((REPOSITORY / BENCHMARK.record).read_text(encoding="utf-8"))["augmentation"]
    row = {"network": "thesis-cnn", "batch": 16, "images": 256, "backend": "tensorflow", "device": "cpu"}
    row |= {"ours": [2.0, 2.0], "bare": [1.0, 1.0]}
    memory = {"images": 200_000, "size_bytes": 2_457_600_000, "trainer": 2_000_000_000, "worker": 1}
    thesis = {"device": "gpu", "backend": "jax", "seconds": 18.0, "epochs": 80, "images": 2_625}
    figures = {"speed": {"rows": [row]}, "memory": memory, "thesis": thesis}
    text = section({name: {**recorded, "figures": one} for name, one in figures.items()})
    assert "| thesis-cnn, batch 16, beside Keras alone | at least 0.95 | 0.50 | **no** |" in text
    assert "| peak memory, 200,000 samples of 64 px (2.5 GB) | at most 1.5 GB | 2.00 GB | **no** |" in text
    assert "| the thesis's 80 epochs on a GPU | at most 20 s | 18.0 s | yes |" in text


def test_all_parts_of_the_augmentation_are_timed(tmp_path: Path) -> None:
    found = augmentation.measure(Bench(tmp_path, scale=0.01))["images_per_second"]
    assert set(found) == {"all", *augmentation.PARTS}
    assert all(found["all"] < rate for name, rate in found.items() if name != "all")


@pytest.mark.drill
def test_everything_is_measured(tmp_path: Path) -> None:
    bench = Bench(tmp_path, scale=0.005)
    found = {name: {"figures": measure(bench)} for name, measure in BENCHMARK.sections.items()}
    assert found["memory"]["figures"]["images"] == 1000
    assert all(len(row["ours"]) == len(row["bare"]) > 0 for row in found["speed"]["figures"]["rows"])
    assert found["thesis"]["figures"]["seconds"] > 0
