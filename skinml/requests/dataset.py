"""The request of `prepare`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import MAX_QUARANTINED, SHARED, ClusterRequest, Fraction, Texts
from skinml.requests.retraining import DueRequest


class PrepareRequest(DueRequest, ClusterRequest):
    """Turn labelled images and their metadata into shards of pixels and the samples table."""

    images: Annotated[Texts, SHARED] = Field(
        min_length=1, description="folder or bucket prefix with images; repeat for several"
    )
    metadata: Annotated[Texts, SHARED] = Field(
        min_length=1,
        description="CSV file in HAM10000's or ISIC's form; repeat if labels and lesions are in two files",
    )
    for_model: str | None = Field(
        None, alias="for", description="make the pixels that this model needs (default: thesis-cnn)"
    )
    size: int | None = Field(
        None, ge=8, le=1024, description="edge of the square pixels, in px (default: the model's)"
    )
    decode: Literal["fast", "exact"] = Field(
        "fast", description="fast: scaled JPEG decoding; exact: bit-equal to Pillow's full decode"
    )
    format: Literal["npy", "parquet"] = Field("npy", description="file format of the pixels")
    map: Texts = Field((), description="count a class as one of the seven, as scc=akiec; repeat for several")
    drop: Texts = Field((), description="leave out a class, such as scc, or no-lesion; repeat for several")
    max_quarantined: Annotated[Fraction, SHARED] = Field(
        MAX_QUARANTINED,
        description="largest fraction of unusable new images; with more, the run fails and commits nothing",
    )
