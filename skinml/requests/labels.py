"""The request of `mislabelled`."""

from __future__ import annotations

from pydantic import Field

from skinml.requests.base import ClusterRequest


class MislabelledRequest(ClusterRequest):
    """Name the labels that are most likely wrong, by networks that have not seen the lesion."""

    top: int = Field(20, ge=1, le=10_000, description="how many lesions to name; the file has all of them")
    folds: int = Field(5, ge=2, le=20, description="networks to fit, each on all lesions but one fold's")
    model: str = Field("thesis-cnn", description="architecture to fit")
    epochs: int | None = Field(None, ge=1, le=10_000, description="number of epochs (default: 10)")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="batch size (default: 64)")
    seed: int = Field(42, ge=0, lt=2**32, description="seed of folds, weights, order and dropout")
