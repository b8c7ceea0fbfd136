"""Small datasets as `prepare` leaves them, and jobs on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.shard_files import Shard
from skinml.dataset.shards import encode_shard, shard_name
from skinml.images.preprocessing import ShardFormat
from skinml.layout import shards_url
from skinml.storage.objects import write_bytes
from skinml.training import jobs
from skinml.training.inputs import Inputs, write_inputs
from skinml.training.jobs import FinishJob, FitJob
from skinml.training.settings import THESIS

KEY = "tiny"


def write_shards(
    workspace: str, pixels: NDArray[np.uint8], cuts: Sequence[int], stored_as: ShardFormat = "npy"
) -> tuple[Shard, ...]:
    """Pixels (n, size, size, 3) as the shards of a dataset, cut at these positions."""
    shards = []
    for number, part in enumerate(np.split(pixels, cuts)):
        data = encode_shard(part, stored_as)
        write_bytes(f"{shards_url(workspace, KEY)}/{shard_name(number, stored_as)}", data)
        shards.append(Shard(number, len(part), len(data)))
    return tuple(shards)


def inputs_of(
    shards: tuple[Shard, ...],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    **more: NDArray[np.int64],
) -> Inputs:
    """Inputs of a fit; each image is a lesion of 600 x 450 px unless `more` says otherwise."""
    count = len(labels)
    columns = {"width": np.full(count, 600), "height": np.full(count, 450), "lesions": np.arange(count)} | more
    return Inputs(shards, labels, **columns, train=train, validation=validation, test=test)


def fit_job(workspace: str, inputs: Inputs, **changes: Any) -> FitJob:
    """A job of two epochs on these inputs, which are written to the workspace."""
    url = f"{workspace}/under_way/tiny/inputs.npz"
    job = FitJob(
        workspace=workspace,
        dataset_key=KEY,
        stored_as="npy",
        inputs=url,
        inputs_sha256="0" * 64,
        architecture="thesis-cnn",
        settings=THESIS,
        batch_size=16,
        epochs=2,
        seed=7,
        results=f"{workspace}/under_way/tiny/fit",
        export=False,
    )
    return with_inputs(replace(job, **changes), inputs)


def with_inputs(job: FitJob, inputs: Inputs) -> FitJob:
    """The job on other inputs, which are written where it finds them."""
    return replace(job, inputs_sha256=write_inputs(job.inputs, inputs))


def finish_job(job: FitJob, sha256: str, **changes: Any) -> FinishJob:
    """What comes after this fit, which left a network with this hash."""
    return replace(jobs.finish_job(job, sha256, 1, "none", 0.9), **changes)
