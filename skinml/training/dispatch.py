"""Decide where a training job runs: on a cluster's worker that offers a GPU, or in a process of its own here.

A job crosses as text, and so does its answer.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from skinml.compute.gpu import offers_gpu, run_on_gpu
from skinml.errors import RequestError, RunError, StorageError
from skinml.models.bundle import NETWORKS, read_made
from skinml.models.manifest import File
from skinml.training.export import export_fitted
from skinml.training.jobs import FINISH, FIT, FinishJob, FitJob
from skinml.training.process import run_in_process
from skinml.training.results import FINISHED, PROBABILITIES, REPORT, VALIDATION, Finished, FitResult

logger = logging.getLogger("skinml.train")

PROGRAM = "skinml.training.program"
"""What a cluster's worker runs."""

ERRORS = {kind.__name__: kind for kind in (RequestError, RunError, StorageError)}
"""Errors of a job that cross by name."""

OnEpoch = Callable[[int, dict[str, float]], None]
OnLine = Callable[[dict[str, Any]], None]
"""Takes what a fit tells while it runs, as `program` prints it: an epoch and its values, or a text to say."""


def _nobody(epoch: int, values: dict[str, float]) -> None:
    """Nobody listens."""


@overload
def run_job(
    job: FitJob, scratch: Path, on_epoch: OnEpoch = _nobody, cluster: str | None = None
) -> FitResult: ...
@overload
def run_job(
    job: FinishJob, scratch: Path, on_epoch: OnEpoch = _nobody, cluster: str | None = None
) -> Finished: ...
def run_job(
    job: FitJob | FinishJob, scratch: Path, on_epoch: OnEpoch = _nobody, cluster: str | None = None
) -> FitResult | Finished:
    """Run a job, and fetch what it says.

    Args:
        job: what to do.
        scratch: a folder of this machine for copies of shards. No part of the job: another machine has its own.
        on_epoch: called after each epoch of a fit, counted from 1, with that epoch's history values and pace.
            Epochs that an earlier process has fitted are not told.
        cluster: address of a Dask scheduler. If a worker there offers a GPU, it fits; finishing takes no GPU.

    Raises:
        SkinmlError: as the job raises them; RunError if its process died.

    """
    if isinstance(job, FinishJob):
        text = FINISH.dump_json(job).decode()
        return FINISHED.validate_json(run_in_process(finish, (text, str(scratch)), _ignore))
    text = FIT.dump_json(job).decode()
    if offers_gpu(cluster):
        logger.info("a worker of %s with a GPU fits", cluster)
        said = _fit_on_gpu(str(cluster), text, on_epoch)
    else:
        said = run_in_process(fit, (text, str(scratch)), partial(_tell, on_epoch))
    report = REPORT.validate_json(said)
    if job.export and NETWORKS["fp32"] not in report.files:
        exported = export_fitted(job, report, scratch)
        report = replace(report, parity=exported.parity, files={**report.files, **exported.files})
    test, validation = read_probabilities(job.results, report.files)
    return FitResult(**vars(report), probabilities=test, validation=validation)


def read_probabilities(
    results: str, files: Mapping[str, File]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities of test and validation images that a job left in its `results`.

    Raises:
        RunError: they are not what the job wrote.

    """
    test, validation = (
        np.load(io.BytesIO(read_made(f"{results}/{name}", files[name])), allow_pickle=False)
        for name in (PROBABILITIES, VALIDATION)
    )
    return test, validation


def _fit_on_gpu(cluster: str, text: str, on_epoch: OnEpoch) -> str:
    """Fit on a cluster's worker that offers a GPU; the report as text."""
    last: dict[str, Any] = {}

    def on_line(line: str) -> None:
        answer = json.loads(line)
        _tell(on_epoch, answer)
        if not answer.keys() & {"epoch", "note"}:
            last.update(answer)

    run_on_gpu(cluster, PROGRAM, text, on_line)
    if "error" in last:
        raise ERRORS.get(last["kind"], RunError)(last["error"])
    return str(last["report"])


def _tell(on_epoch: OnEpoch, answer: dict[str, Any]) -> None:
    """Pass on what a fit tells while it runs."""
    if "epoch" in answer:
        on_epoch(answer["epoch"], answer["values"])
    elif "note" in answer:
        logger.warning("%s", answer["note"])


def _ignore(answer: dict[str, Any]) -> None:
    """Nothing is told."""


def fit(task: tuple[str, str], emit: OnLine) -> str:
    """Do a fit where this runs: a job as text and a folder for copies; its report as text."""
    from skinml.training.fit import fit as run

    report = run(
        FIT.validate_json(task[0]),
        Path(task[1]),
        lambda epoch, values: emit({"epoch": epoch, "values": values}),
        lambda note: emit({"note": note}),
    )
    return REPORT.dump_json(report).decode()


def finish(task: tuple[str, str], emit: OnLine) -> str:
    """Finish a network where this runs: a job as text and a folder for copies; what came of it as text."""
    from skinml.training.finish import finish as run

    return FINISHED.dump_json(run(FINISH.validate_json(task[0]), Path(task[1]))).decode()
