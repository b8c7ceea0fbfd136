"""Name flow runs after the parameters that they were given."""

from __future__ import annotations

from typing import Any

from prefect.runtime import flow_run


def asked(field: str) -> Any:
    """One field of the running flow's request, which a deployment hands over as a plain dictionary."""
    request = flow_run.parameters.get("request", {})
    return request.get(field) if isinstance(request, dict) else getattr(request, field, None)


def short(url: Any) -> str:
    """The last part of a folder or prefix."""
    return str(url).rstrip("/").rsplit("/", 1)[-1]
