"""Quarantine image versions whose size differs from the tables although uri and etag are the same."""

from __future__ import annotations

import logging
from collections import Counter

import pyarrow as pa

from skinml import tables
from skinml.errors import Reason
from skinml.records.quarantine import quarantine_rows
from skinml.scoring.predict import ShardScored

logger = logging.getLogger("skinml.score")

DETAIL = "an image with this uri and etag is in the tables with another size: storage has used the etag twice"


def refuse_other_bytes(workspace: str, images: pa.Table, flow: str, run_id: str) -> list[ShardScored]:
    """Write an uncommitted part of the quarantine with these images.

    Args:
        workspace: normalised URL.
        images: image versions that are in the tables with another size, columns of LISTING.
        flow: the flow that refuses them.
        run_id: the run.

    Returns:
        One result like that of a shard in which all images were rejected; [] if there are no images.
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
