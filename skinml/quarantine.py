"""Rows of the quarantine: images that could not be used, and why."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from skinml.errors import Reason
from skinml.schemas import QUARANTINE

RETRIED = (Reason.READ_ERROR.value,)
"""Reasons that may pass by themselves: such an image is tried again at every run, others when they change."""


def quarantine_rows(rejected: pd.DataFrame, flow: str, run_id: str) -> pa.Table:
    """Rejected images (uri, etag, size_bytes, reason, detail) as rows of the quarantine, schema QUARANTINE."""
    rows = rejected.assign(run_id=run_id, flow=flow, quarantined_at=datetime.now(UTC))
    return pa.Table.from_pandas(rows[QUARANTINE.names], QUARANTINE, preserve_index=False)
