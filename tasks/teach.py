"""Stages of a distillation: check the teachers, make their pixels, ask them what the training images show."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from skinml.dataset.pixelstore import PixelStore
from skinml.models.manifest import Manifest
from skinml.models.zoo import architecture
from skinml.records.runs import Run
from skinml.requests.training import TrainRequest
from skinml.retraining.probabilities import predict_stored
from skinml.training import teachers as of_version
from skinml.training.jobs import SoftLabels
from skinml.training.soft_labels import mean_probabilities, write_soft_labels
from tasks.fit import Workplace
from tasks.pixels import Samples, find_missing, make_pixels
from tasks.stage import stage

logger = logging.getLogger("skinml.teach")


@stage("check the teachers")
def check_teachers(workspace: str, samples: Samples, request: TrainRequest) -> list[Manifest]:
    """Find the versions that shall teach, and refuse one that has seen a held-out lesion."""
    of_version.check_student(architecture(request.model))
    found = of_version.find_teachers(workspace, request.teachers)
    of_version.check_teachers(workspace, found, samples.rows)
    logger.info("teachers: %s", ", ".join(one.version for one in found))
    return found


def of_training(samples: Samples) -> Samples:
    """The training images, which is all that teachers are asked about."""
    rows = samples.rows[samples.rows["split"] == "train"].reset_index(drop=True)
    return Samples(rows, samples.version)


def pixels_of_teachers(
    workspace: str, samples: Samples, teachers: Sequence[Manifest], request: TrainRequest, run: Run
) -> list[PixelStore]:
    """Make the training images' pixels as each teacher needs them; two teachers may share theirs."""
    chosen, stores = of_training(samples), []
    for teacher in teachers:
        missing = find_missing(workspace, chosen, teacher.pixels())
        stores.append(make_pixels(workspace, chosen, missing, teacher.pixels(), request, run))
    return stores


@stage("ask the teachers")
def ask_teachers(
    workspace: str,
    teachers: Sequence[Manifest],
    stores: Sequence[PixelStore],
    student: PixelStore,
    request: TrainRequest,
    place: Workplace,
) -> SoftLabels:
    """Leave the mean probabilities of the teachers for the training images where the fit finds them."""
    predicted: list[pd.DataFrame] = []
    for teacher, store in zip(teachers, stores, strict=True):
        rows = predict_stored(workspace, teacher, store, place.scratch).rows
        logger.info("%s was asked about %d training images", teacher.version, len(rows))
        predicted.append(rows)
    of_train = student.samples["split"] == "train"
    positions = np.sort(student.samples.loc[of_train, "position"].to_numpy(np.int64))
    soft = mean_probabilities(predicted, student, positions, request.distill_temperature)
    return write_soft_labels(f"{place.url}/teachers.npz", positions, soft, request.distill_weight)
