"""The requests of `score` and `quarantine`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from skinml.errors import Reason
from skinml.requests.base import MAX_QUARANTINED, POSITIONAL, SHARED, ClusterRequest, Fraction


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is meant in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]


class ScoreRequest(ClusterRequest):
    """Everything new in an archive, scored once by one model version."""

    archive: Annotated[str, SHARED] = Field(description="folder or bucket prefix to score")
    model: str = Field("champion", description="model version, or champion")
    precision: Annotated[Literal["fp32", "int8"], SHARED] = Field(
        "fp32", description="int8: faster, where the model's measured balanced accuracy allows it"
    )
    since: Moment | None = Field(
        None, description="only images last modified at this time (UTC) or later, such as 2026-11-01"
    )
    until: Moment | None = Field(None, description="only images last modified before this time (UTC)")
    limit: int | None = Field(None, ge=1, description="at most so many images; the rest waits for the next run")
    recheck: bool = Field(False, description="read known images too, score those whose bytes have changed")
    max_quarantined: Annotated[Fraction, SHARED] = Field(
        MAX_QUARANTINED,
        description="fraction of tonight's images that may be unusable; with more, nothing is committed",
    )

    @model_validator(mode="after")
    def _window_is_open(self) -> ScoreRequest:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"--since {self.since:%Y-%m-%dT%H:%M:%SZ} is not before --until")
        return self


class QuarantineRequest(ClusterRequest):
    """What could not be used and why (list), tried again after a fix (replay)."""

    action: Annotated[Literal["list", "replay"], POSITIONAL] = Field(
        "list", description="list: what is in quarantine now; replay: score it again"
    )
    reason: Reason | None = Field(None, description="only what is in quarantine for this reason")
    flow: Literal["prepare", "score"] | None = Field(None, description="only what this flow could not use")
    run: str | None = Field(None, description="only what this run could not use, by its run_id")
    images: bool = Field(False, description="list every image instead of the counts by reason")
    model: str = Field("champion", description="replay: model version that scores, or champion")
    precision: Annotated[Literal["fp32", "int8"], SHARED] = Field("fp32", description="replay: as in score")
