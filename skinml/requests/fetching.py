"""The request of `fetch`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import POSITIONAL, Request


class FetchRequest(Request):
    """Download a public data set from the ISIC archive: images, metadata, hashes and licence."""

    dataset: Annotated[Literal["ham10000"], POSITIONAL] = Field(description="the data set")
    out: str = Field(description="folder for the files: new, empty, or of an earlier fetch, which is continued")
    accept_licence: bool = Field(
        False, description="you accept the licence of the images, which skinml fetch shows without this flag"
    )
    limit: int | None = Field(None, ge=1, le=1_000_000, description="fetch so many images (default: all)")
    connections: int = Field(4, ge=1, le=8, description="downloads at a time")
    url: str = Field(
        "https://api.isic-archive.com/api/v2/", description="address of the archive's public interface"
    )
