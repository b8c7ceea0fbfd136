"""Emit Prefect events about labelled lesions. They are hints for an automation; the tables decide."""

from __future__ import annotations

import logging

from skinml.notify.workspace_id import resource_of
from tasks.orchestration import under_prefect

logger = logging.getLogger("skinml.events")

LESIONS_ARRIVED = "skinml.labelled-lesions.arrived"
"""After each prepare that added labelled lesions."""

RETRAINING_DUE = "skinml.retraining.due"
"""The same, once as many have come as `--min-new` says."""


def emit_lesions(workspace: str, added: int, new: int, needed: int) -> None:
    """Emit that lesions have arrived, and that retraining is due if it is. Outside Prefect nothing is emitted.

    An event that cannot be sent is logged and fails nothing: the weekly reconciliation does without events.

    Args:
        workspace: normalised URL.
        added: lesions that this preparation added; if 0, nothing is emitted.
        new: lesions since the last retraining looked.
        needed: lesions at which retraining is due.
    """
    if not added or not under_prefect():
        return
    from prefect.events import emit_event

    resource = {"prefect.resource.id": resource_of(workspace)}
    events = [LESIONS_ARRIVED, *([RETRAINING_DUE] if new >= needed else [])]
    for event in events:
        try:
            emit_event(event=event, resource=resource, payload={"new": new, "needed": needed})
        except Exception as error:  # whatever Prefect raises: the lesions are in the tables
            logger.warning("the event %s could not be sent: %s", event, " ".join(str(error).split()))
