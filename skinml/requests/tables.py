"""The requests of `export` and `compact`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from skinml.requests.base import Request, Texts


class ExportRequest(Request):
    """Write the scores of one run to a file for other programs."""

    run: str | None = Field(None, description="run_id of a scoring run")
    latest: bool = Field(False, description="the newest completed run that has scored something")
    out: str = Field(description="new file, .csv or .parquet, in an existing folder or in a bucket")
    sort: str | None = Field(
        None,
        description="column to sort by, such as p_malignant: numbers from the largest, texts from A to Z",
    )
    top: int | None = Field(
        None, ge=1, description="at most so many rows (default column to sort by: p_malignant)"
    )
    columns: Texts = Field(
        (), description="columns, separated by commas (default: all); model_version and health are always added"
    )
    bom: bool = Field(
        False, description="begin a CSV with a byte order mark, so that Excel shows accents on a double click"
    )

    @field_validator("columns")
    @classmethod
    def _by_commas(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        """A flag that may be repeated gives `a,b` as one text."""
        return tuple(name.strip() for text in columns for name in text.split(",") if name.strip())

    @model_validator(mode="after")
    def _one_run(self) -> Self:
        if (self.run is None) == (not self.latest):
            raise ValueError("give either --run RUN_ID or --latest")
        return self


class CompactRequest(Request):
    """Merge small files of the tables, and delete files that nobody needs any more."""

    retention_hours: int = Field(
        168,
        ge=168,
        le=87_600,
        description="hours until replaced or uncommitted files are deleted",
    )
    dry_run: bool = Field(False, description="only report what would be done")
