"""The request of `report`."""

from __future__ import annotations

from pydantic import Field

from skinml.requests.base import ClusterRequest


class ReportRequest(ClusterRequest):
    """Write the page of a night (worklist with pictures, counts, health), and the page over all nights."""

    run: str | None = Field(
        None, description="run_id of a completed scoring run (default: the newest run of score)"
    )
