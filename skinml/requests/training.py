"""The request of `train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import SHARED, ClusterRequest, Request
from skinml.requests.models import FloorsRequest


class CardRequest(Request):
    """What only people know of a model. The model card says of everything else that it is not reported."""

    data_source: Annotated[str, SHARED] = Field(
        "", max_length=1000, description="where the labelled images come from, and how to cite them"
    )
    data_licence: Annotated[str, SHARED] = Field(
        "", max_length=200, description="the licence of the labelled images"
    )
    intended_use: Annotated[str, SHARED] = Field(
        "", max_length=1000, description="intended use (default: research)"
    )
    ethics: Annotated[str, SHARED] = Field("", max_length=1000, description="ethical approval and consent")
    contact: Annotated[str, SHARED] = Field("", max_length=200, description="whom to ask")

    def told(self) -> dict[str, str]:
        """What was given, by the name of its field."""
        return {name: text for name in CardRequest.model_fields if (text := getattr(self, name))}


class TrainRequest(FloorsRequest, CardRequest, ClusterRequest):
    """Fit a model on the prepared images, and register it as an immutable version."""

    protocol: Literal["grouped", "thesis"] = Field(
        "grouped",
        description="grouped: holds out whole lesions; thesis: as in the thesis, and an honest refit",
    )
    model: str = Field("thesis-cnn", description="architecture to fit")
    weights: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="weights to start from: imagenet, none or PATH (default: imagenet if the model has them)",
    )
    weights_sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="SHA-256 that the file of --weights PATH must have"
    )
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="number of epochs (default: 50 for thesis, 20 for grouped)"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="batch size (default: 16 for thesis, 64 for grouped)"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of weights, order and dropout")
    requested_by: str = Field(
        "",
        max_length=200,
        description="run_id of the retrain that asked for this training, for its row in runs",
    )
