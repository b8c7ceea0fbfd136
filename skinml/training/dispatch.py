"""Decide where a training job runs. Today that is a process of its own on this machine.

A job crosses as text and its answer too, so that a worker elsewhere can take this place.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import overload

import numpy as np

from skinml.models.bundle import read_made
from skinml.training.jobs import FINISH, FIT, FinishJob, FitJob
from skinml.training.process import run_in_process
from skinml.training.results import FINISHED, PROBABILITIES, REPORT, VALIDATION, Finished, FitResult

OnEpoch = Callable[[int, dict[str, float]], None]


def _nobody(epoch: int, values: dict[str, float]) -> None:
    """Nobody listens."""


@overload
def run_job(job: FitJob, scratch: Path, on_epoch: OnEpoch = _nobody) -> FitResult: ...
@overload
def run_job(job: FinishJob, scratch: Path, on_epoch: OnEpoch = _nobody) -> Finished: ...
def run_job(job: FitJob | FinishJob, scratch: Path, on_epoch: OnEpoch = _nobody) -> FitResult | Finished:
    """Run a job, and fetch what it says.

    Args:
        job: what to do.
        scratch: a folder of this machine for copies of shards. No part of the job: another machine has its own.
        on_epoch: called after each epoch of a fit, counted from 1, with that epoch's history values.

    Raises:
        SkinmlError: as the job raises them; RunError where its process died.

    """
    if isinstance(job, FinishJob):
        text = FINISH.dump_json(job).decode()
        return FINISHED.validate_json(run_in_process(finish, (text, str(scratch)), on_epoch))
    text = FIT.dump_json(job).decode()
    report = REPORT.validate_json(run_in_process(fit, (text, str(scratch)), on_epoch))
    test, validation = (
        np.load(io.BytesIO(read_made(f"{job.results}/{name}", report.files[name])), allow_pickle=False)
        for name in (PROBABILITIES, VALIDATION)
    )
    return FitResult(**vars(report), probabilities=test, validation=validation)


def fit(task: tuple[str, str], emit: OnEpoch) -> str:
    """Do a fit where this runs: a job as text and a folder for copies; its report as text."""
    from skinml.training.fit import fit as run

    return REPORT.dump_json(run(FIT.validate_json(task[0]), Path(task[1]), emit)).decode()


def finish(task: tuple[str, str], emit: OnEpoch) -> str:
    """Finish a network where this runs: a job as text and a folder for copies; what came of it as text."""
    from skinml.training.finish import finish as run

    return FINISHED.dump_json(run(FINISH.validate_json(task[0]), Path(task[1]))).decode()
