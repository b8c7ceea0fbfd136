"""The network alone, and the model that everybody scores with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.harness.bench import Bench
from benchmarks.harness.bundle import Bundle, permit_int8
from benchmarks.scoring.sections import network
from skinml.errors import RequestError
from skinml.models import registry
from skinml.models.allowed import network_file


def test_the_network_alone_is_timed_on_every_core_and_its_operations_are_counted(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (manifest,) = trained.glob("models/*/*/manifest.json")
    monkeypatch.setattr(network, "make_bundle", lambda bench: Bundle(trained, manifest.parent))
    found = network.measure(Bench(tmp_path, scale=0.02, repetitions=2))
    # 256 filters of 3 x 3 x 3 at 30 x 30 places, 128 of 3 x 3 x 256 at 13 x 13, 64 of 3 x 3 x 128 at 4 x 4, two
    # dense layers, and the outlier score's matrix.
    convolutions = 256 * 27 * 30**2 + 128 * 2304 * 13**2 + 64 * 1152 * 4**2
    assert found["flop"] == 2 * (convolutions + 256 * 32 + 32 * 7 + 256**2)
    assert [len(found[name]) for name in ("fp32", "int8", "matrices")] == [2, 2, 2]
    assert min(found["fp32"] + found["int8"] + found["matrices"]) > 0


def test_its_own_bundle_may_be_timed_in_int8(trained: Path, tmp_path: Path) -> None:
    """Training says of so few lesions that they show nothing."""
    workspace = tmp_path / "workspace"
    shutil.copytree(trained / "models", workspace / "models")
    with pytest.raises(RequestError, match=r"^--precision int8: .* may not score so: .* cannot be shown with"):
        network_file(registry.find(str(workspace), "champion"), "int8")
    (manifest,) = workspace.glob("models/*/*/manifest.json")
    permit_int8(manifest)
    assert network_file(registry.find(str(workspace), "champion"), "int8") == "model-int8.onnx"
