"""The requests of `status` and `doctor`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from skinml.requests.base import SHARED, Request
from skinml.requests.notifying import NotifyRequest
from skinml.requests.retraining import DueRequest

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST = timedelta(days=3650)


def as_duration(value: Any) -> timedelta:
    """26h, 90m, 2d, 1w or 1.5d as a duration. A number without a unit is refused: of what?

    Example:
        >>> as_duration("26h"), as_duration("1.5d")
        (datetime.timedelta(days=1, seconds=7200), datetime.timedelta(days=1, seconds=43200))
    """
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([mhdw])\s*", str(value), re.ASCII)
    duration = timedelta(seconds=float(found[1]) * UNITS[found[2]]) if found else timedelta(0)
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError("is not a duration of 1m to 3650d, such as 26h, 90m or 2d")
    return duration


Duration = Annotated[timedelta, BeforeValidator(as_duration, json_schema_input_type=str)]


class StatusRequest(DueRequest, NotifyRequest):
    """Say whether the last nights went well: exit 0 if healthy, 1 with the reasons."""

    max_age: Duration = Field(
        "26h", description="how long ago the last good night may have ended", validate_default=True
    )
    max_run: Duration = Field("24h", description="how long a run may take", validate_default=True)
    archive: Annotated[str | None, SHARED] = Field(
        None, description="watch the nights of this archive alone (default: of all archives together)"
    )
    notify_when: Literal["problems", "change", "always"] = Field(
        "problems",
        description="problems: each time there are any, and once when there are none any more; "
        "change: if they are others than last time",
    )


class DoctorRequest(Request):
    """Check whether everything that skinml needs is there and works, and say how to mend what does not."""

    archive: Annotated[str | None, SHARED] = Field(None, description="archive that must be readable")
    cluster: Annotated[str | None, SHARED] = Field(
        None, description="Dask scheduler that must answer, tcp:// or tls://host:port"
    )
    timeout: float = Field(20.0, gt=0, le=600, description="seconds that one check may take")
