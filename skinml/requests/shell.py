"""The request of `completion`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import POSITIONAL, Request


class CompletionRequest(Request):
    """Print a script with which a shell completes verbs, flags and values."""

    shell: Annotated[Literal["bash", "zsh", "fish"], POSITIONAL] = Field(description="the shell that reads it")
