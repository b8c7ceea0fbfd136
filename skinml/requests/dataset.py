"""The request of `prepare`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import MAX_QUARANTINED, SHARED, ClusterRequest, Fraction, Texts


class PrepareRequest(ClusterRequest):
    """Labelled images and their metadata to shards of pixels and the samples table."""

    images: Annotated[Texts, SHARED] = Field(
        min_length=1, description="folder or bucket prefix with images; repeat for several"
    )
    metadata: Annotated[Texts, SHARED] = Field(
        min_length=1,
        description="CSV file as of HAM10000 or ISIC; repeat where labels and lesions stand in two files",
    )
    for_model: str | None = Field(
        None, alias="for", description="make the pixels that this model reads (default: thesis-cnn)"
    )
    size: int | None = Field(
        None, ge=8, le=1024, description="edge of the square pixels, in px (default: what the model reads)"
    )
    decode: Literal["fast", "exact"] = Field(
        "fast", description="fast: scaled JPEG decoding; exact: bit-equal to Pillow's full decode"
    )
    format: Literal["npy", "parquet"] = Field("npy", description="how pixels are stored")
    map: Texts = Field((), description="take a class as one of the seven, as scc=akiec; repeat for several")
    drop: Texts = Field((), description="leave a class out, such as scc, or no-lesion; repeat for several")
    max_quarantined: Annotated[Fraction, SHARED] = Field(
        MAX_QUARANTINED,
        description="fraction of the new images that may be unusable; with more, nothing is committed",
    )
