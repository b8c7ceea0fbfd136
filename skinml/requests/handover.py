"""What can be asked about where a challenger is trained: the base of requests that train one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skinml.requests.base import SHARED, Request

GPU_POOL = "gpu"
"""The Prefect work pool whose workers train, if nobody names another one."""

HERE = "here"
"""The value of `train_on` that trains in the process that asks."""


class HandoverRequest(Request):
    """A verb that trains a challenger: on a worker of a Prefect work pool, or here."""

    train_on: Annotated[str | None, SHARED] = Field(
        None,
        min_length=1,
        description="Prefect work pool that trains, or here (default: the pool gpu if a worker serves it)",
    )
    worker_wait: Annotated[float, SHARED] = Field(
        600.0,
        ge=0.0,
        le=604_800.0,
        description="seconds to wait for a worker of the pool, also for one that was lost while it trained",
    )
    train_fallback: Annotated[Literal["cpu", "none"], SHARED] = Field(
        "cpu", description="if no worker comes: cpu trains here, none fails the run"
    )
