"""The request of `completion`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import POSITIONAL, Request


class CompletionRequest(Request):
    """A script that lets a shell complete verbs, flags and their values."""

    shell: Annotated[Literal["bash", "zsh", "fish"], POSITIONAL] = Field(description="the shell that reads it")
