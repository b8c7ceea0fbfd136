"""The time of the thesis's 80 epochs, if there is a GPU; one of them if there is none."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.harness.bench import Bench, Result, answer
from benchmarks.training.timed import SEED, made_up
from skinml.dataset.shard_files import Shard
from skinml.dataset.shards import encode_shard, shard_name
from skinml.layout import shards_url
from skinml.storage.objects import write_bytes
from skinml.training.dispatch import run_job
from skinml.training.inputs import Inputs, write_inputs
from skinml.training.jobs import FitJob
from skinml.training.protocols import THESIS_BATCH_SIZE, THESIS_PER_CLASS
from skinml.training.settings import THESIS

EPOCHS = {"gpu": 80, "cpu": 1}
KEY = "made-up"


def measure(bench: Bench) -> Result:
    """Fit 2,625 made-up images of 32 px in batches of 16, and measure 875 after each epoch, as the thesis."""
    device = answer(bench.run([sys.executable, "-m", "benchmarks.training.timed", "device"]))
    workspace = str(bench.fresh("thesis"))
    count = bench.count(7 * THESIS_PER_CLASS)
    labels, pixels = made_up(count, 32)
    data = encode_shard(pixels, "npy")
    write_bytes(f"{shards_url(workspace, KEY)}/{shard_name(0, 'npy')}", data)
    positions = np.random.default_rng(SEED).permutation(count)
    train, test = positions[count // 4 :], positions[: count // 4]
    inputs = Inputs(
        shards=(Shard(0, count, len(data)),),
        labels=labels,
        width=np.full(count, 32),
        height=np.full(count, 32),
        lesions=np.arange(count),
        train=train,
        validation=test,
        test=test,
    )
    epochs = EPOCHS[device["device"]]
    job = FitJob(
        workspace=workspace,
        dataset_key=KEY,
        stored_as="npy",
        inputs=f"{workspace}/inputs.npz",
        inputs_sha256=write_inputs(f"{workspace}/inputs.npz", inputs),
        architecture="thesis-cnn",
        settings=THESIS,
        batch_size=THESIS_BATCH_SIZE,
        epochs=epochs,
        seed=SEED,
        results=f"{workspace}/results",
        export=False,
    )
    result = run_job(job, bench.fresh("copies"))
    return {**device, "images": len(train), "epochs": epochs, "seconds": result.seconds, "pace": result.pace}
