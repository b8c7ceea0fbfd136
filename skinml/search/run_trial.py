"""Run a trial on a Dask worker: in a process of its own with one thread, and write its record."""

from __future__ import annotations

import json
import signal
from typing import Any

from skinml.compute.program import run_program
from skinml.errors import StorageError
from skinml.search.trials import JOB, MEASURED, MOST_BYTES, TRIAL, Trial, TrialJob, done, failed
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.strict_json import parse_json

PROGRAM = "skinml.search.program"

ONE_THREAD = {
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"),
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # otherwise the first trial takes all memory of the GPU
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
"""Environment of a trial's process. There is one trial for each core, so more threads would be in each other's
way; and with another number of threads the same seed gives slightly other weights."""


def run_trial(job: TrialJob) -> Trial:
    """Fit and measure one trial. If its record is there already, nothing is done.

    It may have been left by a worker that was lost before it could answer.

    Raises:
        StorageError: the images cannot be read or the record cannot be written; to be tried again.

    """
    if exists(job.record):
        try:
            return parse_json(TRIAL, read_bytes(job.record, MOST_BYTES))
        except ValueError:  # somebody else's file: `read_trials` has said so
            pass
    trial = _fit(job)
    leave_record(job, trial)
    return trial


def leave_record(job: TrialJob, trial: Trial) -> None:
    """Write a trial's record."""
    write_bytes(job.record, TRIAL.dump_json(trial, indent=1))


def _fit(job: TrialJob) -> Trial:
    lines: list[str] = []
    code, printed = run_program(PROGRAM, JOB.dump_json(job).decode(), lines.append, ONE_THREAD)
    if not lines:
        return failed(job, _how_it_ended(code, printed))
    said: dict[str, Any] = json.loads(lines[-1])
    if "error" in said:
        raise StorageError(said["error"])
    if "failed" in said:
        return failed(job, said["failed"])
    return done(job, MEASURED.validate_python(said["measured"]))


def _how_it_ended(code: int, printed: str) -> str:
    """Why a process has said nothing: its signal, or the last line that it printed."""
    if code < 0:
        hint = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{hint}"
    last = printed.strip().splitlines()[-1:] or ["it printed nothing"]
    return f"its process ended with exit code {code}: {last[0]}"
