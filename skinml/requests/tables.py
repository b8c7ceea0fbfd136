"""The requests of `export` and `compact`."""

from __future__ import annotations

from pydantic import Field

from skinml.requests.base import Request


class ExportRequest(Request):
    """Write the scores of one run to a file for other programs."""

    run: str = Field(description="run_id of a scoring run")
    out: str = Field(description="new file, .csv or .parquet, in an existing folder or in a bucket")


class CompactRequest(Request):
    """Merge small files of the tables, and delete files that nobody needs any more."""

    retention_hours: int = Field(
        168,
        ge=168,
        le=87_600,
        description="hours until replaced or uncommitted files are deleted",
    )
    dry_run: bool = Field(False, description="only report what would be done")
