"""The request of `train`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skinml.requests.base import ClusterRequest


class TrainRequest(ClusterRequest):
    """A model fitted on what was prepared, and registered as an immutable version."""

    protocol: Literal["grouped", "thesis"] = Field(
        "grouped",
        description="grouped: whole lesions held out; thesis: as the thesis did, with an honest refit",
    )
    model: str = Field("thesis-cnn", description="architecture to fit")
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="passes (default: 50 for thesis, 20 for grouped)"
    )
    batch_size: int | None = Field(
        None, ge=1, le=65_536, description="images a step (default: 16 for thesis, 64)"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of weights, order and dropout")
