"""What `fast` decoding costs in accuracy: one recipe fitted on pixels of either mode, each tested on both.

`make bench-accuracy` runs it where the real images are (`../shared/ham10000`); `--images` and `--metadata` name
others. Figures go to `benchmarks/results/accuracy.json` and into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import CACHE, REPOSITORY
from benchmarks.markdown import put_into, table
from benchmarks.systems import skinml_prepare
from skinml import tables
from skinml.dataset.pixelstore import PixelStore, open_pixels
from skinml.dataset.shard_files import map_shards
from skinml.evaluation.metrics import measure
from skinml.images.decode import DecodeMode
from skinml.images.preprocessing import preprocessing_for
from skinml.scoring.predict import load_session, predict
from skinml.training import protocols
from skinml.training.dispatch import run_job
from skinml.training.inputs import gather_inputs, write_inputs
from skinml.training.jobs import FitJob
from skinml.training.pixels import gather
from skinml.training.resampling import Positions

REAL = REPOSITORY.parent / "shared" / "ham10000"
RESULTS = REPOSITORY / "benchmarks" / "results" / "accuracy.json"
SIZE = 32
SEED = 42
BATCH = 32
MODES: tuple[DecodeMode, ...] = ("fast", "exact")
SHOWN = ("accuracy", "balanced_accuracy", "macro_auc")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare twice, fit twice, test four times."""
    options = _parser().parse_args(arguments)
    workspace = CACHE / "accuracy"
    stores = {mode: _prepared(workspace, options.images, options.metadata, mode) for mode in MODES}
    rows = []
    for mode, store in stores.items():
        recipe = protocols.grouped(store.samples, options.epochs)
        out = workspace / "fits" / mode
        inputs = f"{out}/inputs.npz"
        job = FitJob(
            workspace=store.workspace,
            dataset_key=store.dataset_key,
            stored_as=store.stored_as,
            inputs=inputs,
            inputs_sha256=write_inputs(inputs, gather_inputs(store, recipe)),
            architecture="thesis-cnn",
            balanced=recipe.balanced,
            keep_best=recipe.keep_best,
            batch_size=recipe.batch_size,
            epochs=recipe.epochs,
            seed=SEED,
            results=str(out),
            export=True,
        )
        result = run_job(job, workspace / "copies", _say)
        for tested, other in stores.items():
            metrics = _test(out / "model.onnx", other, protocols.grouped(other.samples).test)
            rows.append({"fitted_on": mode, "tested_on": tested, **{name: metrics[name] for name in SHOWN}})
        print(f"fitted on {mode} in {result.seconds:.0f} s", file=sys.stderr)
    found = {
        "images": len(store.samples),
        "held_out": metrics["images"],
        "epochs": options.epochs,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    put_into(REPOSITORY, "accuracy", section(found))
    return 0


def _say(epoch: int, values: dict[str, float]) -> None:
    print(f"epoch {epoch}: {values}", file=sys.stderr)


def _prepared(workspace: Path, images: Sequence[str], metadata: Path, mode: DecodeMode) -> PixelStore:
    """The pixels of all images, decoded in one mode."""
    more = [part for root in images[1:] for part in ("--images", root)]
    command = skinml_prepare(workspace, images[0], metadata, SIZE, *more, "--decode", mode)
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    samples = tables.read(str(workspace), "samples").to_pandas()
    key = preprocessing_for(SIZE, mode).dataset_key()
    return open_pixels(str(workspace), key, "npy", samples)


def _test(network: Path, store: PixelStore, positions: Positions) -> dict[str, Any]:
    """The metrics of an exported network on some of a store's pixels."""
    session = load_session(str(network), hashlib.sha256(network.read_bytes()).hexdigest())
    shards = map_shards(store.workspace, store.dataset_key, store.stored_as, store.shards, CACHE / "copies")
    pieces = [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]
    probabilities = np.concatenate([predict(session, gather(shards, piece)) for piece in pieces])
    return measure(store.labels[positions], probabilities)


def section(found: dict[str, Any]) -> str:
    """The accuracy section of the document."""
    rows = [
        (row["fitted_on"], row["tested_on"], *(f"{row[name]:.3f}" for name in SHOWN)) for row in found["rows"]
    ]
    head = ("fitted on", "tested on", "accuracy", "balanced accuracy", "macro AUC")
    return "\n".join(
        [
            "## What `fast` costs in accuracy",
            "",
            f"The thesis CNN on HAM10000 (300x225 px files) at {SIZE} px, whole lesions held out,",
            f"{found['epochs']} epochs, seed {SEED}: fitted on pixels of either mode, tested on",
            f"{found['held_out']:,} held-out images in both. One fit each: a point or two are what another",
            "seed gives as well. `make bench-accuracy`.",
            "",
            table(head, rows),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parts = sorted(str(path) for path in REAL.glob("HAM10000_images_part_*"))
    parser.add_argument("--images", action="append", default=None, required=not parts)
    parser.add_argument("--metadata", type=Path, default=REAL / "HAM10000_metadata.csv")
    parser.add_argument("--epochs", type=int, default=20)
    parser.set_defaults(images=parts)
    return parser


if __name__ == "__main__":
    sys.exit(main())
