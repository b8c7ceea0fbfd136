"""Switch off the telemetry of libraries, before any of them is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping

NO_REPORTS: Mapping[str, str] = {
    # onnxruntime 1.32 looks up a host of Microsoft, keeps a database below ~/.cache/Microsoft and truncates
    # $TMPDIR/.ses: if that is a link, it destroys a file. The variable is read on import only, and
    # disable_telemetry_events() stops none of this.
    "ORT_DISABLE_TELEMETRY": "1",
    # Prefect's client reports its first import and first flows from a terminal.
    "DO_NOT_TRACK": "1",
    # Prefect's server reports every 10 minutes, including the server that Prefect starts itself for a flow.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Environment variables that switch telemetry off."""


def report_to_nobody() -> None:
    """Set NO_REPORTS in this process and thereby in its children. Variables that are already set stay."""
    for name, value in NO_REPORTS.items():
        os.environ.setdefault(name, value)
