"""One run of a flow: its id, its counts, their conservation law, and its row in `runs`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa

from skinml.errors import RunError
from skinml.schemas import RUNS
from skinml.storage.redaction import redacted

LIBRARIES = (
    "skinml",
    "prefect",
    "dask",
    "distributed",
    "deltalake",
    "obstore",
    "s3fs",
    "pyarrow",
    "numpy",
    "pandas",
    "pillow",
    "simplejpeg",
    "onnxruntime",
    "keras",
    "tensorflow",
    "scikit-learn",
)


@dataclass(frozen=True)
class Run:
    """A run: its id (flow, UTC start, random suffix), its start and its parameters."""

    run_id: str
    flow: str
    started_at: datetime
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Counts:
    """The counts of a run's images: every listed image is skipped, done or quarantined."""

    listed: int = 0
    skipped: int = 0
    done: int = 0
    quarantined: int = 0

    def check(self) -> None:
        """Check listed = skipped + done + quarantined. Raises RunError if it does not hold."""
        if self.listed != self.skipped + self.done + self.quarantined:
            raise RunError(
                f"counts do not add up: listed {self.listed} is not skipped {self.skipped} + done {self.done} "
                f"+ quarantined {self.quarantined}; nothing was committed, please report this"
            )


def begin(flow: str, parameters: Mapping[str, Any]) -> Run:
    """Start a run: give it an id and record its start and parameters."""
    started_at = datetime.now(UTC)
    return Run(f"{flow}-{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", flow, started_at, parameters)


def library_versions() -> dict[str, str]:
    """Return the versions of the installed libraries that a result may depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def as_record(
    run: Run,
    status: str,
    counts: Counts,
    model_version: str | None = None,
    error: str | None = None,
    health: str | None = None,
    health_detail: str | None = None,
    new_lesions: int | None = None,
) -> dict[str, Any]:
    """Return the run's row, columns of RUNS. `images_per_second` does not count skipped images."""
    finished_at = datetime.now(UTC)
    seconds = (finished_at - run.started_at).total_seconds()
    worked = counts.done + counts.quarantined
    return {
        "run_id": run.run_id,
        "flow": run.flow,
        "status": status,
        "started_at": run.started_at,
        "finished_at": finished_at,
        "listed": counts.listed,
        "skipped": counts.skipped,
        "done": counts.done,
        "quarantined": counts.quarantined,
        "seconds": seconds,
        "images_per_second": worked / seconds if seconds else 0.0,
        "model_version": model_version,
        "parameters": redacted(json.dumps(run.parameters, default=str)),
        "versions": json.dumps(library_versions()),
        "error": None if error is None else redacted(error),
        "health": health,
        "health_detail": health_detail,
        "new_lesions": new_lesions,
    }


def as_table(record: Mapping[str, Any]) -> pa.Table:
    """Return a run's row as a table, schema RUNS. Times may be text (ISO 8601); missing columns are null."""
    row = {
        field.name: datetime.fromisoformat(str(record[field.name]))
        if pa.types.is_timestamp(field.type)
        else record.get(field.name)
        for field in RUNS
    }
    return pa.Table.from_pylist([row], schema=RUNS)


def run_row(
    run: Run,
    status: str,
    counts: Counts,
    model_version: str | None = None,
    error: str | None = None,
    **more: Any,
) -> pa.Table:
    """Return the row of `as_record` as a table, schema RUNS."""
    return as_table(as_record(run, status, counts, model_version, error, **more))
