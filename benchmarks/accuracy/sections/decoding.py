"""What `fast` decoding costs in accuracy: one recipe fitted on pixels of either mode, each tested on both."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.inputs import prepared
from benchmarks.harness.bench import Bench, Result, say
from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.shard_files import map_shards
from skinml.evaluation.metrics import measure as metrics_of
from skinml.images.choices import DecodeMode
from skinml.models.session import load_session, predict
from skinml.training import protocols
from skinml.training.dispatch import run_job
from skinml.training.inputs import write_fit_job
from skinml.training.pixels import gather
from skinml.training.resampling import Positions

SEED = 42
BATCH = 32
MODES: tuple[DecodeMode, ...] = ("fast", "exact")
SHOWN = ("accuracy", "balanced_accuracy", "macro_auc")


def measure(bench: Bench) -> Result:
    """Prepare twice, fit twice, test four times. A trial fits for fewer epochs, on all images."""
    workspace, copies = bench.fresh("accuracy"), bench.fresh("copies")
    epochs = max(1, round(bench.options.epochs * bench.scale))
    stores = {mode: prepared(bench, workspace, mode) for mode in MODES}
    rows = []
    for mode, store in stores.items():
        recipe = protocols.grouped(store.samples, epochs)
        out = workspace / "fits" / mode
        job = write_fit_job(store, recipe, "thesis-cnn", SEED, str(out), export=True)
        result = run_job(job, copies, _say)
        for tested, other in stores.items():
            metrics = metrics_on(out / "model.onnx", other, copies, protocols.grouped(other.samples).test)
            rows.append({"fitted_on": mode, "tested_on": tested, **{name: metrics[name] for name in SHOWN}})
        say(f"fitted on {mode} in {result.seconds:.0f} s")
    return {"images": len(store.samples), "held_out": metrics["images"], "epochs": epochs, "rows": rows}


def _say(epoch: int, values: dict[str, float]) -> None:
    say(f"epoch {epoch}: {values}")


def metrics_on(network: Path, store: PixelStore, copies: Path, positions: Positions) -> dict[str, Any]:
    """The metrics of an exported network on some of a store's pixels."""
    session = load_session(str(network), hashlib.sha256(network.read_bytes()).hexdigest())
    shards = map_shards(store.workspace, store.dataset_key, store.stored_as, store.shards, copies)
    pieces = [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]
    found = [predict(session, gather(shards, piece))["probabilities"] for piece in pieces]
    return metrics_of(store.labels[positions], np.concatenate(found))
