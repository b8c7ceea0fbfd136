"""The requests of `synth`, `demo` and `drill`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skinml.requests.base import Request


class SynthRequest(Request):
    """A made-up archive in HAM10000's layout."""

    images: int = Field(ge=1, le=10_000_000, description="how many images")
    out: str = Field(description="folder to write to")
    corrupt: float = Field(0.0, ge=0.0, le=1.0, description="fraction of the images that is broken")
    seed: int = Field(42, ge=0, lt=2**32, description="same seed, same bytes")


class DemoRequest(Request):
    """The whole story on made-up images, in a folder of its own."""

    out: str = Field("skinml-demo", description="folder for the demo's archive, workspace and server")
    images: int = Field(600, ge=100, le=100_000, description="labelled images to make up")


class DrillRequest(Request):
    """Runs are killed at every crash point and at random moments, and what they leave is compared."""

    kills: int = Field(30, ge=1, le=100_000, description="how many kills")
    images: int = Field(300, ge=100, le=100_000, description="images in the made-up archive, one in 20 broken")
    place: Literal["both", "folder", "bucket"] = Field(
        "both", description="where workspace and archive lie; a bucket's S3 server is killed, too"
    )
    lanes: int | None = Field(None, ge=1, le=64, description="rounds at once (default: one more than cores)")
    seed: int = Field(42, ge=0, lt=2**32, description="same seed, same archive and same plan")
    out: str | None = Field(
        None, description="new or empty folder for what goes wrong (default: a temporary one)"
    )
