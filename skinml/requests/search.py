"""The request of `search`."""

from __future__ import annotations

from pydantic import Field

from skinml.requests.base import ClusterRequest
from skinml.requests.training import CardRequest


class SearchRequest(CardRequest, ClusterRequest):
    """Search the structure of a network, and register the best one; it is never promoted by itself."""

    trials: int = Field(25, ge=1, le=9999, description="number of networks to try")
    epochs: int = Field(
        25, ge=1, le=10_000, description="number of epochs of a trial at most, and of the best network's fit"
    )
    per_class: int = Field(
        100,
        ge=1,
        le=100_000,
        description="images of each class in a trial, drawn from training lesions",
    )
    max_multiply_adds: float = Field(
        100.0,
        ge=0.1,
        le=1_000_000,
        description="millions of multiply-adds for an image that a network may need; thesis-cnn needs 57",
    )
    at_once: int = Field(
        4, ge=1, le=1024, description="trials that are fitted at once; each knows the results of those before"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of images, proposals, weights, order and dropout")
