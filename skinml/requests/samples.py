"""The requests of `explore` and `organize`, which look at the prepared samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skinml.requests.base import Request


class ExploreRequest(Request):
    """Draw the prepared images and their metadata: one page, and each figure as PNG and SVG."""

    out: str | None = Field(
        None, description="folder for the files (default: explore in the workspace); earlier ones are replaced"
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of the images that are shown as examples")


class OrganizeRequest(Request):
    """Put the prepared images into one folder per diagnosis, as links or copies."""

    out: str = Field(description="folder for the seven folders; what is in it already is never overwritten")
    link: Literal["hard", "copy"] = Field(
        "hard",
        description="hard: links, which take no space; copy: files. Images of a bucket are always copied",
    )
