"""The accuracy benchmark finds the metrics of an exported network that training has recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.accuracy.sections.decoding import metrics_on
from skinml import tables
from skinml.dataset.pixelstore import open_pixels
from skinml.training import protocols


def test_a_network_is_tested_as_training_tests_it(trained: Path, tmp_path: Path) -> None:
    [folder] = trained.glob("models/*/2*")
    samples = tables.read(str(trained), "samples").to_pandas()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    store = open_pixels(str(trained), manifest["dataset"]["key"], "npy", samples)
    found = metrics_on(folder / "model.onnx", store, tmp_path, protocols.grouped(store.samples).test)
    recorded = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    assert found["images"] == recorded["images"] > 0
    for name in ("accuracy", "balanced_accuracy", "macro_auc"):
        assert found[name] == pytest.approx(recorded[name])
