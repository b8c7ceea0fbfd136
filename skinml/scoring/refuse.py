"""Image versions that storage gives with another size than before: refused, and said."""

from __future__ import annotations

import logging
from collections import Counter

import pyarrow as pa

from skinml import tables
from skinml.errors import Reason
from skinml.records.quarantine import quarantine_rows
from skinml.scoring.predict import ShardScored

logger = logging.getLogger("skinml.score")

DETAIL = "uri and etag are those of an image that is in the tables, with another size: the etag was given twice"


def refuse_other_bytes(workspace: str, images: pa.Table, flow: str, run_id: str) -> list[ShardScored]:
    """Put what the tables hold from other bytes under the same uri and etag into quarantine, unpublished.

    Args:
        workspace: normalised URL.
        images: such image versions, columns of LISTING.
        flow: which flow refuses them.
        run_id: the run.

    Returns:
        What a shard would have left: nothing scored, all rejected; nothing at all where there are none.
    """
    if not images.num_rows:
        return []
    rows = images.to_pandas().assign(reason=Reason.DUPLICATE_ID.value, detail=DETAIL)
    for uri, etag in zip(rows["uri"], rows["etag"], strict=True):
        logger.error("%s (etag %s): %s", uri, etag, DETAIL)
    part = tables.write_part(
        workspace, "quarantine", quarantine_rows(rows, flow, run_id), f"{run_id}-other-bytes-listed"
    )
    return [ShardScored(0, 0, Counter(rows["reason"]), None, part)]
