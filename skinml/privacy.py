"""Libraries that report to their makers are told not to, before any of them is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping

NO_REPORTS: Mapping[str, str] = {
    # onnxruntime 1.32 looks up a host of its maker, keeps a database below ~/.cache/Microsoft and opens
    # $TMPDIR/.ses with truncation: a link there destroys a file. Read when it is imported, not later;
    # its disable_telemetry_events() stops none of this.
    "ORT_DISABLE_TELEMETRY": "1",
    # Prefect's client reports its first import and first flows from a terminal.
    "DO_NOT_TRACK": "1",
    # Prefect's server reports every 10 minutes, also one that Prefect starts by itself for a flow.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Environment variables, as the libraries read them."""


def report_to_nobody() -> None:
    """Set NO_REPORTS in this process and so in its children. A variable that is set already stays as it is."""
    for name, value in NO_REPORTS.items():
        os.environ.setdefault(name, value)
