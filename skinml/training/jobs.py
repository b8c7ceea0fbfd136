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
from skinml.models.calibrated import Method
from skinml.models.manifest import Sha256
from skinml.models.outputs import Views
from skinml.storage.urls import is_remote
from skinml.training.settings import Settings


def _url(text: str) -> str:
    if not is_remote(text) and not PurePosixPath(text).is_absolute():
        raise ValueError(f"{text!r} is neither s3://bucket/prefix nor a whole path")
    return text


Url = Annotated[str, AfterValidator(_url)]
"""Normalised: s3://bucket/prefix, or the whole path of a folder that all machines share."""


@dataclass(frozen=True)
class SoftLabels:
    """Where a fit finds soft labels, and how much they count.

    Attributes:
        url: of an .npz file with `positions` (k,) int64 and `probabilities` (k, 7) float16.
        sha256: of that file.
        weight: of the soft label in the target, 0 to 1; the label itself has the rest.

    """

    url: str
    sha256: Sha256
    weight: Annotated[float, Field(ge=0, le=1)]


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
        settings, batch_size, epochs: of the recipe (`protocols.Recipe`).
        seed: of weights, order and dropout. Same seed, same machine, same libraries: same weights.
        results: URL of the folder for model.keras, model.onnx and the two files of probabilities.
        export: False: leave no network (the honest refit needs only its probabilities).
        soft_labels: what teachers say of the training images; None: the labels alone count.
        start: what the weights are before the fit.

    """

    workspace: Url
    dataset_key: str
    stored_as: ShardFormat
    inputs: Url
    inputs_sha256: Sha256
    architecture: str
    settings: Settings
    batch_size: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    results: Url
    export: bool
    soft_labels: SoftLabels | None = None
    start: Start = RANDOM


@dataclass(frozen=True)
class FinishJob:
    """Make of a fitted network all that a bundle holds of it.

    Attributes:
        workspace, dataset_key, stored_as, inputs, inputs_sha256, architecture: as of the fit.
        seed: of the calibration images and of the interval.
        fitted: URL of the folder with the fit's model.onnx.
        fitted_sha256: of that file.
        views: of each image that the networks average over (`models.views`).
        calibration: how the probabilities are calibrated (`training.calibrate`).
        operating_sensitivity: that the operating threshold has to reach on the validation images.
        results: URL of another folder, for model.onnx, model-int8.onnx, reference.json, and the probabilities
            of test and validation images as the finished fp32 network gives them.

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
    views: Views
    calibration: Method
    operating_sensitivity: Annotated[float, Field(gt=0, le=1)]
    results: Url


def finish_job(
    fit: FitJob, fitted_sha256: str, views: Views, calibration: Method, operating_sensitivity: float
) -> FinishJob:
    """The job that follows a fit: on the same dataset, positions and seed.

    Args:
        fit: the fit's job, which exported its network.
        fitted_sha256: of that network.
        views: of each image, as of the job.
        calibration: likewise.
        operating_sensitivity: likewise.
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
        views=views,
        calibration=calibration,
        operating_sensitivity=operating_sensitivity,
        results=f"{fit.results}-finished",
    )


FIT = TypeAdapter(FitJob)
FINISH = TypeAdapter(FinishJob)
