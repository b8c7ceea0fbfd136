"""The requests of `export` and `compact`."""

from __future__ import annotations

from pydantic import Field

from skinml.requests.base import Request


class ExportRequest(Request):
    """The scores of one run as a file for other programs."""

    run: str = Field(description="run_id of a run that scored")
    out: str = Field(description="new file, .csv or .parquet, in a folder that is there or in a bucket")


class CompactRequest(Request):
    """Small files of the tables put together, files that nobody can need any more deleted."""

    retention_hours: int = Field(
        168, ge=168, le=87_600, description="how long files that were replaced or never published stay"
    )
    dry_run: bool = Field(False, description="only say what would be done")
