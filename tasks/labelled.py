"""Stages that count the labelled lesions that have come since the last retraining looked."""

from __future__ import annotations

import logging

from skinml.errors import SkinmlError
from skinml.records.labelled import NewLesions, count_new_lesions, lesions_added
from skinml.tables import Snapshot
from tasks.events import emit_lesions
from tasks.stage import stage

logger = logging.getLogger("skinml.labelled")


@stage("count new lesions")
def count_new(workspace: str, needed: int) -> NewLesions:
    """Count and log them: "37 of 50 new lesions until retraining"."""
    found = count_new_lesions(workspace)
    logger.info("%s", found.in_words(needed))
    return found


def count_after_prepare(
    workspace: str, before: Snapshot | None, after: int | None, needed: int
) -> NewLesions | None:
    """Count them after a preparation, and emit events if it added some.

    Args:
        workspace: normalised URL.
        before: the state of `samples` before the preparation.
        after: its version afterwards; None if there are no samples.
        needed: lesions at which retraining is due.

    Returns:
        The count; None if it failed, which is logged: the samples are committed all the same.
    """
    try:
        found = count_new(workspace, needed)
        added = lesions_added(workspace, before.version if before else None, after)
    except SkinmlError as error:
        logger.warning("new lesions could not be counted: %s", error)
        return None
    emit_lesions(workspace, added, found.new, needed)
    return found
