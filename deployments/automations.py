"""Make the automations on a Prefect server: who is told of what, and what starts a retraining.

`ensure_automations` may be called as often as one likes, also by several processes at once. Ours carry the tag
OURS and a tag with the hash of their definition: those of another definition are updated, those that are not
wanted any more are deleted, and those of anybody else are never touched. What a person switches off in the UI
stays off.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.notification_blocks import remove_blocks, save_block
from skinml.errors import RequestError, RunError
from skinml.notify.address import Address, parse_address
from skinml.notify.workspace_id import resource_of
from skinml.storage.redaction import redacted
from tasks.events import RETRAINING_DUE

logger = logging.getLogger("skinml.automations")

VARIABLE = "SKINML_NOTIFY"

OURS = "skinml-automation"
"""The tag by which an automation is ours."""

DEFINED = "definition-"
"""The start of the tag with the hash of the definition."""

TAG = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.skinml"}
DEPLOYED = {"prefect.resource.role": "deployment"}
"""A run of ours, and a run of a deployment: nobody is told of what a person has started at a command line."""

TOLD: Mapping[str, tuple[tuple[str, ...], str]] = {
    "failed": (("Failed", "TimedOut"), "A run failed."),
    "crashed": (("Crashed",), "A run crashed: its process or its machine went away."),
    "late": (
        ("Late",),
        "A run is late: no worker has started it. None is alive, or it is busy with an earlier run.",
    ),
    "drifted": (
        ("Drifted",),
        "The images differ from those the model was tested on: do not trust the scores.",
    ),
    "quarantined": (("Quarantined",), "Too many images could not be used, so nothing was committed."),
}
"""What somebody is told of: the names of states, and the sentence."""

ALIVE = {"prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.heartbeat"}
"""After these, something else has to follow: a run may be killed before its first heartbeat."""

MISSED = timedelta(minutes=10)
"""A run whose heartbeats have stopped for so long is dead. They come every 3 minutes (Prefect's
PREFECT_FLOWS_HEARTBEAT_FREQUENCY), so three of them are missing."""

ONCE_IN = timedelta(hours=1)
"""Events may be doubled: those of one workspace within this time start one retraining."""

RETRAIN = "retrain/retrain"

SUBJECT = "skinml: {{ deployment.name or flow.name }}: {{ event.resource['prefect.state-name'] }}"
BODY = (
    "{sentence}\n"
    "Deployment: {{{{ deployment.name or flow.name }}}}. "
    "State: {{{{ event.resource['prefect.state-name'] }}}}. "
    "Time: {{{{ event.occurred.strftime('%Y-%m-%d %H:%M UTC') }}}}. "
    "Run: {{{{ event.resource.id.rpartition('.')[2] }}}}.\n"
    "On its machine, skinml status and the Prefect UI say more.\n"
    "Research use only: skinml is not a medical device."
)
"""Names of deployments and states, and an id. Never a state's message or a run's name, which may hold uris."""


def ensure_automations(api_url: str, notify: str | None = None, missed: timedelta = MISSED) -> list[str]:
    """Make, update and remove automations, so that those that are wanted are there once.

    Args:
        api_url: of the Prefect server, http://host:port/api.
        notify: whom to tell, as `status --notify`; None: what SKINML_NOTIFY says. If that is empty, nobody is
            told, and the automations that tell are removed.
        missed: how long a run's heartbeats may stop.

    Returns:
        One line for each automation that was made, updated or removed, or that could not be made.

    Raises:
        RequestError: `notify` is no address.
        RunError: the server does not answer, or refuses.
    """
    notify = os.environ.get(VARIABLE) if notify is None else notify
    try:
        address = parse_address(notify) if notify else None
    except ValueError as error:
        raise RequestError(f"{VARIABLE} {error}") from error
    try:
        with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
            return _ensure_all(client, address, missed)
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        said = redacted(" ".join(str(error).split()))[:300]
        raise RunError(f"automations on {redacted(api_url)}: {type(error).__name__}: {said}") from error


def _ensure_all(client: SyncPrefectClient, address: Address | None, missed: timedelta) -> list[str]:
    said: list[str] = []
    wanted = [_zombies(missed)]
    if address is None:
        said.append(f"nobody is told of failed, crashed, late and drifted runs: {VARIABLE} is not set")
    else:
        block = save_block(client, address)
        wanted += [_telling(name, block) for name in TOLD]
    retraining = _retraining(client)
    if retraining is None:
        said.append(f"no deployment {RETRAIN}: new labelled lesions start nothing; deploy it first")
    else:
        wanted.append(retraining)
    for automation in wanted:
        said += _ensure(client, automation)
    said += _remove_all_but(client, [automation.name for automation in wanted])
    if address is None:
        remove_blocks(client)
    return said


def _telling(name: str, block: UUID) -> AutomationCore:
    states, sentence = TOLD[name]
    return _automation(
        f"skinml: tell of {name} runs",
        EventTrigger(
            expect={f"prefect.flow-run.{state}" for state in states},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=[TAG, DEPLOYED],
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
        ),
        SendNotification(block_document_id=block, subject=SUBJECT, body=BODY.format(sentence=sentence)),
        "Sends the name of the deployment and of the state, never a uri.",
    )


def _zombies(missed: timedelta) -> AutomationCore:
    """Runs that have stopped to report become Crashed. The server refuses that for a run that has ended."""
    return _automation(
        "skinml: runs without heartbeat are crashed",
        EventTrigger(
            after=ALIVE,
            expect={"prefect.flow-run.*"},  # names of states are ours to choose, so no list of them is complete
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=TAG,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=missed,
        ),
        ChangeFlowRunState(
            state=StateType.CRASHED,
            name="Crashed",
            message="no heartbeat: its process or its machine went away",
        ),
        "Changes a state and does nothing else. The next scheduled run takes over what the dead one has done.",
    )


def _retraining(client: SyncPrefectClient) -> AutomationCore | None:
    """Enough labelled lesions in the workspace of the deployment `retrain` start it; None without it."""
    try:
        deployment = client.read_deployment_by_name(RETRAIN)
    except ObjectNotFound:
        return None
    workspace = str(deployment.parameters.get("workspace", ""))
    try:
        resource = resource_of(workspace)
    except RequestError as error:
        logger.warning("deployment %s: %s; its retrainings start by the weekly schedule alone", RETRAIN, error)
        return None
    return _automation(
        "skinml: retrain when enough lesions were labelled",
        EventTrigger(
            expect={RETRAINING_DUE},
            match={"prefect.resource.id": resource},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            within=ONCE_IN,
        ),
        RunDeployment(source="selected", deployment_id=deployment.id),
        "Events may be lost or doubled: the weekly schedule of the deployment does the same from the tables.",
    )


def _automation(name: str, trigger: EventTrigger, action: ActionTypes, description: str) -> AutomationCore:
    made = AutomationCore(name=name, description=description, trigger=trigger, actions=[action])
    canonical = json.dumps(made.model_dump(), sort_keys=True, default=_canonical)
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return made.model_copy(update={"tags": [OURS, f"{DEFINED}{digest}"]})


def _canonical(value: Any) -> Any:
    """Sets in order: they come in another one in every process."""
    return sorted(value) if isinstance(value, set) else str(value)


# --- The server -------------------------------------------------------------------------------------------


def _ensure(client: SyncPrefectClient, wanted: AutomationCore) -> list[str]:
    there = _ours(client, wanted.name)
    if not there:
        client.create_automation(wanted)
        there, said = _ours(client, wanted.name), [f"made: {wanted.name}"]
    elif set(wanted.tags) <= {*there[0]["tags"]}:
        said = []
    else:
        kept = wanted.model_copy(update={"enabled": there[0]["enabled"]})
        client.update_automation(UUID(there[0]["id"]), _with_all_set(kept))
        said = [f"updated: {wanted.name}"]
    for double in there[1:]:  # of another process that made it at the same moment
        _delete(client, double)
    return said


def _remove_all_but(client: SyncPrefectClient, names: Sequence[str]) -> list[str]:
    obsolete = [one for one in _ours(client) if one["name"] not in names]
    for one in obsolete:
        _delete(client, one)
    return [f"removed: {one['name']}" for one in obsolete]


def _ours(client: SyncPrefectClient, name: str | None = None) -> list[dict[str, Any]]:
    """Our automations, the oldest first: every process keeps the same one of doubles."""
    found: list[dict[str, Any]] = []
    while True:
        body = {"limit": PAGE, "offset": len(found), "sort": "NAME_ASC"}
        page = client.request("POST", "/automations/filter", json=body).json()
        found += page
        if len(page) < PAGE:
            break
    ours = [one for one in found if OURS in one["tags"] and name in (None, one["name"])]
    return sorted(ours, key=lambda one: (one["created"], one["id"]))


SET = ("name", "description", "enabled", "tags", "trigger", "actions")
"""What an update sets; the server refuses an owner_resource there."""

PAGE = 100
"""Automations in one answer; the server gives 200 at most."""


def _delete(client: SyncPrefectClient, automation: Mapping[str, Any]) -> None:
    try:
        client.delete_automation(UUID(automation["id"]))
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:  # otherwise another process was faster
            raise


def _with_all_set(automation: AutomationCore) -> AutomationCore:
    """The same with every field marked as set: the client leaves out what is not."""
    return AutomationCore(**{name: getattr(automation, name) for name in SET})
