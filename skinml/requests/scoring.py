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
    """Score the images of an archive that no champion has scored, or those that one model version has not."""

    archive: Annotated[str, SHARED] = Field(description="folder or bucket prefix to score")
    model: str = Field("champion", description="model version, or champion")
    precision: Annotated[Literal["fp32", "int8"], SHARED] = Field(
        "fp32", description="int8 is faster, and allowed if it loses little balanced accuracy"
    )
    since: Moment | None = Field(
        None, description="only images last modified at this time (UTC) or later, such as 2026-11-01"
    )
    until: Moment | None = Field(None, description="only images last modified before this time (UTC)")
    limit: int | None = Field(None, ge=1, description="score at most this many; the next run takes the others")
    backfill: bool = Field(
        False,
        description="after a promotion: score what the champion has not scored, even if an earlier one has",
    )
    shadow: str | None = Field(
        None, description="model version that scores beside it what this run scores, into shadow_scores"
    )
    recheck: bool = Field(False, description="also read known images, and score those whose bytes have changed")
    max_quarantined: Annotated[Fraction, SHARED] = Field(
        MAX_QUARANTINED,
        description="largest fraction of unusable images; with more, the run fails and commits nothing",
    )
    images_in_ui: Annotated[bool, SHARED] = Field(
        False,
        description="show the most suspicious images in a Prefect UI that is not on this machine alone, too",
    )

    report: bool = Field(True, description="write the night's page into the workspace at the end")

    @model_validator(mode="after")
    def _window_is_open(self) -> ScoreRequest:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"--since {self.since:%Y-%m-%dT%H:%M:%SZ} is not before --until")
        return self

    @model_validator(mode="after")
    def _shadow_is_a_challenger(self) -> ScoreRequest:
        if self.shadow in ("champion", self.model):
            raise ValueError(f"--shadow {self.shadow}: name a version other than the one that scores the night")
        return self

    @model_validator(mode="after")
    def _backfill_is_of_the_champion(self) -> ScoreRequest:
        if self.backfill and self.model != "champion":
            raise ValueError(
                f"--backfill adds rows of the champion, not of --model {self.model}; leave one of them out "
                "(--model VERSION alone scores all that VERSION has not scored)"
            )
        if self.backfill and self.recheck:
            raise ValueError("--backfill and --recheck do not go together; run one after the other")
        return self


class QuarantineRequest(ClusterRequest):
    """List images that could not be used, with the reason; or score them again (replay)."""

    action: Annotated[Literal["list", "replay"], POSITIONAL] = Field(
        "list", description="list: show the quarantine; replay: score its images again"
    )
    reason: Reason | None = Field(None, description="only images with this reason")
    flow: Literal["prepare", "score", "evaluate"] | None = Field(
        None, description="only images of this flow (default: prepare and score)"
    )
    run: str | None = Field(None, description="only images of the run with this run_id")
    images: bool = Field(False, description="list every image instead of counts by reason")
    model: str = Field("champion", description="replay: model version, or champion")
    precision: Annotated[Literal["fp32", "int8"], SHARED] = Field("fp32", description="replay: as in score")

    @model_validator(mode="after")
    def _can_be_scored(self) -> QuarantineRequest:
        if self.action == "replay" and self.flow == "evaluate":
            raise ValueError("--flow evaluate: those images are only listed; run skinml evaluate again")
        return self
