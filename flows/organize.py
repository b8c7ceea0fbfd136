"""The organize verb: put the prepared images into one folder per diagnosis, with a progress bar.

Not a flow, because it changes no table.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from skinml.class_folders.names import READ_BY_KERAS, suffix_of
from skinml.class_folders.place import COPIED, LINKED, MISSING, place_images
from skinml.class_folders.plan import LEFT_OUT, THERE, make_plan
from skinml.layout import find_workspace
from skinml.requests.samples import OrganizeRequest
from tasks.progress import progress_bar

logger = logging.getLogger("skinml.organize")

NAMED = 5
"""How many images a warning names."""


def organize(workspace: str, request: OrganizeRequest) -> dict[str, Any]:
    """Link or copy every sample into the folder of its diagnosis. The workspace is only read.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: the folder, and whether to link or to copy.

    Returns:
        files: the seven folders and the list; listed = linked + copied + there_already + missing + left_out.
    """
    started = time.perf_counter()
    workspace = find_workspace(workspace)
    plan = make_plan(workspace, request.out, request.link)
    rows = plan.rows
    with progress_bar("organize", len(rows), "images") as advance:
        placed = place_images(plan, request.link, advance)
    counts = {
        name.replace(" ", "_"): placed.counts.get(name, 0)
        for name in (LINKED, COPIED, THERE, MISSING, LEFT_OUT)
    }
    said = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    logger.info("%s listed: %s", f"{len(rows):,}", said)
    if placed.missing:
        some = [f"{file}: {why}" for file, why in list(placed.missing.items())[:NAMED]]
        logger.warning("%d images are missing, such as %s", len(placed.missing), "; ".join(some))
    left_out = rows.loc[rows["state"] == LEFT_OUT, "image_id"].tolist()
    if left_out:
        named = ", ".join(left_out[:NAMED])
        logger.warning("%d DICOM files are left out, as they can name patients: %s", len(left_out), named)
    unread = rows[(rows["state"] != LEFT_OUT) & ~rows["uri"].map(suffix_of).isin(READ_BY_KERAS)]
    if len(unread):
        logger.warning("Keras does not read %d of them: it reads %s", len(unread), ", ".join(READ_BY_KERAS))
    return {
        "files": placed.files,
        "listed": len(rows),
        **counts,
        "dataset_version": plan.version,
        "seconds": round(time.perf_counter() - started, 3),
    }
