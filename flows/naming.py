"""Name flow runs: the verb and the date. The counts follow once they are known (tasks/ending.py)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any


def dated(*words: str) -> str:
    """The name of a run while it runs: verb, date in UTC as in the column `run_date`, and what tells it apart.

    No part of a folder or bucket: names of runs are sent in notifications. So a word of the request that looks
    like one is left out.
    """
    verb, *others = (word for word in words if re.fullmatch(r"[\w.+ -]{1,60}", word))
    return " ".join([verb, f"{datetime.now(UTC):%Y-%m-%d}", *others])


def asked(field: str) -> Any:
    """One field of the running flow's request, which a deployment hands over as a plain dictionary."""
    from prefect.runtime import flow_run

    request = flow_run.parameters.get("request", {})
    return request.get(field) if isinstance(request, dict) else getattr(request, field, None)
