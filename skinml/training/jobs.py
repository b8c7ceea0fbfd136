"""Training jobs as JSON: plain values and URLs only, so that another machine can run them.

No path of the machine that asks, no array, no open file. Who runs a job reads its inputs and its shards from
storage, and leaves what it makes in `results`; credentials are those of its own environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from skinml.images.preprocessing import ShardFormat
from skinml.models.manifest import Sha256
from skinml.storage.urls import is_remote


def _url(text: str) -> str:
    if not is_remote(text) and not PurePosixPath(text).is_absolute():
        raise ValueError(f"{text!r} is neither s3://bucket/prefix nor a whole path")
    return text


Url = Annotated[str, AfterValidator(_url)]
"""Normalised: s3://bucket/prefix, or the whole path of a folder that all machines share."""


@dataclass(frozen=True)
class Start:
    """What a fit starts from (`training.start`).

    Attributes:
        kind: random weights, those of an installed package, or those of a file.
        source: what the manifest says: where they come from.
        sha256: of their file.
        licence: SPDX expression; None: not known.
        url: of the file, where every machine can read it.

    """

    kind: Literal["random", "package", "file"] = "random"
    source: str = "none"
    sha256: Sha256 | None = None
    licence: str | None = None
    url: Url | None = None


RANDOM = Start()


@dataclass(frozen=True)
class FitJob:
    """Fit an architecture on a dataset.

    Attributes:
        workspace: where the dataset lies.
        dataset_key: which dataset.
        stored_as: its format.
        inputs: URL of labels and positions (`training.inputs`).
        inputs_sha256: of that object.
        architecture: a name in `models.zoo`.
        balanced, keep_best, batch_size, epochs: of the recipe (`protocols.Recipe`).
        seed: of weights, order and dropout. Same seed, same machine, same libraries: same weights.
        results: URL of the folder for model.keras, model.onnx and the two files of probabilities.
        export: False: leave no network (the honest refit needs only its probabilities).
        start: what the weights are before the fit.

    """

    workspace: Url
    dataset_key: str
    stored_as: ShardFormat
    inputs: Url
    inputs_sha256: Sha256
    architecture: str
    balanced: bool
    keep_best: bool
    batch_size: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    results: Url
    export: bool
    start: Start = RANDOM


@dataclass(frozen=True)
class FinishJob:
    """Make of a fitted network all that a bundle holds of it.

    Attributes:
        workspace, dataset_key, stored_as, inputs, inputs_sha256, architecture: as of the fit.
        seed: of the calibration images and of the interval.
        fitted: URL of the folder with the fit's model.onnx.
        fitted_sha256: of that file.
        results: URL of another folder, for model.onnx, model-int8.onnx and reference.json.

    """

    workspace: Url
    dataset_key: str
    stored_as: ShardFormat
    inputs: Url
    inputs_sha256: Sha256
    architecture: str
    seed: Annotated[int, Field(ge=0)]
    fitted: Url
    fitted_sha256: Sha256
    results: Url


def finish_job(fit: FitJob, fitted_sha256: str) -> FinishJob:
    """The job that follows a fit: on the same dataset, positions and seed.

    Args:
        fit: the fit's job, which exported its network.
        fitted_sha256: of that network.
    """
    return FinishJob(
        workspace=fit.workspace,
        dataset_key=fit.dataset_key,
        stored_as=fit.stored_as,
        inputs=fit.inputs,
        inputs_sha256=fit.inputs_sha256,
        architecture=fit.architecture,
        seed=fit.seed,
        fitted=fit.results,
        fitted_sha256=fitted_sha256,
        results=f"{fit.results}-finished",
    )


FIT = TypeAdapter(FitJob)
FINISH = TypeAdapter(FinishJob)
