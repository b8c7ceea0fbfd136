"""The request of `retrain`, and the number of new lesions that it shares with `prepare`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from skinml.requests.base import MAX_QUARANTINED, SHARED, ClusterRequest, Fraction, Request, Texts
from skinml.requests.handover import HandoverRequest
from skinml.requests.models import FloorsRequest
from skinml.requests.training import CardRequest

MIN_NEW = 50
"""The default of `--min-new`. docs/change-control.md says how many lesions a gain needs to be shown."""


Count = Annotated[int, BeforeValidator(lambda value: value, json_schema_input_type=int | str)]
"""A number, which prefect.yaml hands over as text."""


class DueRequest(Request):
    """When a retraining is due."""

    min_new: Annotated[Count, SHARED] = Field(
        MIN_NEW, ge=1, le=10_000_000, description="new labelled lesions after which a retraining is due"
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_empty(cls, given: Any) -> Any:
        """An empty text was not given: prefect.yaml hands a variable over so that is not set."""
        return (
            {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given
        )


class RetrainRequest(DueRequest, HandoverRequest, FloorsRequest, CardRequest, ClusterRequest):
    """Train a challenger if enough labelled lesions have come, and judge it against the champion."""

    approve: Annotated[Literal["human", "auto"], SHARED] = Field(
        "human",
        description="human: the gate proposes, and a person promotes; auto: what the gate promotes is champion",
    )
    images: Annotated[Texts, SHARED] = Field(
        (), description="prepare these folders or bucket prefixes first (default: use the samples there are)"
    )
    metadata: Annotated[Texts, SHARED] = Field((), description="CSV file of the images, as for prepare")
    map: Texts = Field((), description="as for prepare")
    drop: Texts = Field((), description="as for prepare")
    max_quarantined: Annotated[Fraction, SHARED] = Field(MAX_QUARANTINED, description="as for prepare")
    model: str | None = Field(None, description="architecture to fit (default: the champion's)")
    epochs: int | None = Field(None, ge=1, le=10_000, description="number of epochs (default: the champion's)")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="batch size (default: the champion's)")
    seed: int | None = Field(
        None, ge=0, lt=2**32, description="seed of weights, order and dropout (default: the champion's)"
    )

    @model_validator(mode="after")
    def _images_and_metadata_go_together(self) -> RetrainRequest:
        if bool(self.images) != bool(self.metadata):
            given, missing = ("--images", "--metadata") if self.images else ("--metadata", "--images")
            raise ValueError(f"{given} needs {missing} too; leave both out to use the samples there are")
        return self
