"""Say whether a workspace is healthy, and tell somebody if not. Not a flow: it works without Prefect."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from skinml.checkup.archive import note_of_archive
from skinml.checkup.status import Status, read_status
from skinml.errors import RunError, SkinmlError
from skinml.notify.address import Address, parse_address
from skinml.notify.message import Message, name_of
from skinml.notify.send import send
from skinml.notify.told import Told, must_tell, read_told, write_told
from skinml.records.labelled import count_new_lesions
from skinml.requests.operations import StatusRequest
from skinml.storage.urls import normalise

logger = logging.getLogger("skinml.status")


def status(workspace: str, request: StatusRequest) -> dict[str, Any]:
    """The health of a workspace: exit 0 if it is healthy, 1 if not, or if nobody could be told.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: what is allowed, and whom to tell.
    """
    workspace = normalise(workspace)
    address = None if request.notify is None else parse_address(request.notify)
    receiver = "" if address is None else str(request.notify)
    told = read_told(workspace, receiver)
    now = datetime.now(UTC)
    found = read_status(workspace, now, request.max_age, request.max_run, request.archive, told.seen)
    result = _result(workspace, request, found, now)
    if address is not None:
        result |= _tell(workspace, address, receiver, request.notify_when, told, found, now)
    return result


def _result(workspace: str, request: StatusRequest, found: Status, now: datetime) -> dict[str, Any]:
    last = found.last_completed
    return {
        "healthy": not found.problems,
        "last_completed": None if last is None else last.isoformat(timespec="seconds"),
        "hours_ago": None if last is None else round((now - last).total_seconds() / 3600, 2),
        "problems": [one.detail for one in found.problems],
        "kinds": [one.kind for one in found.problems],
        "notes": [*found.notes, *note_of_archive(request.archive or found.archive)],
        "last_night": found.last_night,
        "champion": found.champion,
        **_new_lesions(workspace, request.min_new, found),
        "running": list(found.running),
        "workspace": workspace,
    }


def _new_lesions(workspace: str, needed: int, found: Status) -> dict[str, Any]:
    """How many labelled lesions have come since the last training; nothing if they cannot be counted."""
    if any(one.kind in ("storage", "missing", "table") for one in found.problems):
        return {}
    try:
        new = count_new_lesions(workspace)
    except SkinmlError as error:  # such as a damaged table of samples, which no night needs
        logger.warning("new labelled lesions are not counted: %s", error)
        return {}
    return {"new_lesions": new.new, "lesions_needed": needed, "retraining": new.in_words(needed)}


def _tell(
    workspace: str, address: Address, receiver: str, when: str, told: Told, found: Status, now: datetime
) -> dict[str, Any]:
    """Tell if there is something to tell, and remember it. Nobody told is an error line and exit 1."""
    kinds = tuple(one.kind for one in found.problems)
    there = told.seen or not {"storage", "missing"} & {*kinds}
    if not must_tell(when, told.kinds, kinds):
        if not told.seen:
            write_told(workspace, receiver, Told(there, told.kinds))
        return {"told": False, "not_told": None}
    message = Message(name_of(workspace), found.problems, found.last_completed, now)
    try:
        send(address, message)
    except RunError as error:
        logger.error("%s", error)
        write_told(workspace, receiver, Told(there, told.kinds))
        return {"told": False, "not_told": str(error)}
    write_told(workspace, receiver, Told(there, kinds))
    return {"told": True, "not_told": None}
