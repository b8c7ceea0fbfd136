"""The request of `train`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skinml.requests.base import ClusterRequest
from skinml.requests.models import FloorsRequest


class TrainRequest(FloorsRequest, ClusterRequest):
    """Fit a model on the prepared images, and register it as an immutable version."""

    protocol: Literal["grouped", "thesis"] = Field(
        "grouped",
        description="grouped: holds out whole lesions; thesis: as in the thesis, and an honest refit",
    )
    model: str = Field("thesis-cnn", description="architecture to fit")
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="number of epochs (default: 50 for thesis, 20 for grouped)"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="batch size (default: 16 for thesis, 64 for grouped)"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of weights, order and dropout")
