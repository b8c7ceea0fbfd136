"""The requests of `synth`, `demo` and `drill`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skinml.requests.base import Request


class SynthRequest(Request):
    """Make a synthetic archive in HAM10000's layout."""

    images: int = Field(ge=1, le=10_000_000, description="number of images")
    out: str = Field(description="folder to write to")
    corrupt: float = Field(0.0, ge=0.0, le=1.0, description="fraction of broken images")
    seed: int = Field(42, ge=0, lt=2**32, description="the same seed gives the same bytes")


class DemoRequest(Request):
    """Run everything on synthetic images, in a folder of its own."""

    out: str = Field("skinml-demo", description="folder for the demo's archive, workspace and server")
    images: int = Field(600, ge=100, le=100_000, description="number of labelled images")


class DrillRequest(Request):
    """Kill runs at every crash point and at random moments, and check that their tables are right."""

    kills: int = Field(30, ge=1, le=100_000, description="number of kills")
    images: int = Field(
        300, ge=100, le=100_000, description="images in the archive, of which one in 20 is broken"
    )
    place: Literal["both", "folder", "bucket"] = Field(
        "both", description="location of workspace and archive; a bucket's S3 server is killed, too"
    )
    lanes: int | None = Field(None, ge=1, le=64, description="rounds at once (default: one more than cores)")
    seed: int = Field(42, ge=0, lt=2**32, description="the same seed gives the same archive and plan")
    out: str | None = Field(
        None, description="new or empty folder for the evidence of failures (default: a temporary one)"
    )
