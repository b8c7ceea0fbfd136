"""The request of `explain`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import POSITIONAL, Request


class ExplainRequest(Request):
    """Show why an image got its score: its origin, what the network used, similar training lesions."""

    image_id: Annotated[str, POSITIONAL] = Field(
        description="name of a scored image without its suffix; or its uri, if several have the same name"
    )
    model: str | None = Field(
        None, description="model version, or champion (default: the champion, if it has scored the image)"
    )
    run: str | None = Field(
        None, description="explain the row of the run with this run_id (default: the newest)"
    )
    dx: Literal["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"] | None = Field(
        None, description="diagnosis to make the maps for (default: the predicted one)"
    )
    out: str | None = Field(
        None, description="new or empty folder for the files (default: below reports in the workspace)"
    )
