"""The automations on a real server: each trouble tells somebody, and nothing is made twice."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.states import Completed, Crashed, Failed, Running

from deployments.automations import ensure_automations
from skinml.errors import RequestError, RunError
from skinml.notify.workspace_id import resource_of
from tasks.events import RETRAINING_DUE
from tests.services.processes import wait_for
from tests.services.receivers import mail_server
from tests.services.site import MISSED, SECRET, Site

HEARTBEAT = "prefect.flow-run.heartbeat"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Failed(message=f"could not read {SECRET}"), "A run failed."),
        (Failed(name="TimedOut"), "A run failed."),
        (Crashed(message=SECRET), "A run crashed"),
        (Failed(name="Drifted", message=SECRET), "do not trust the scores"),
        (Failed(name="Quarantined", message=SECRET), "Too many images could not be used"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_a_run_in_trouble_is_told_without_a_uri(site: Site, state: State[None], words: str) -> None:
    run = site.run(state)
    wait_for(lambda: site.is_told(run, words), 60, "the message")
    [message] = site.received.about(run)
    told = json.loads(message)
    assert told.keys() == {"text", "subject", "body"}
    assert told["subject"] == f"skinml: score-nightly: {state.name}"
    assert "not a medical device" in told["text"]
    for secret in (SECRET, "ISIC", "archive"):
        assert secret not in message


def test_a_run_that_no_worker_takes_is_late(site: Site) -> None:
    run = str(site.client.create_flow_run_from_deployment(site.ours).id)
    wait_for(lambda: site.is_told(run, "A run is late"), 90, "the message")


def test_a_scheduled_run_is_told_at_once_though_prefect_sends_no_event_of_its_planning(site: Site) -> None:
    late, failed = site.plan()
    wait_for(lambda: site.is_told(late, "A run is late"), 60, "the message")
    site.client.set_flow_run_state(UUID(failed), Running(), force=True)
    site.client.set_flow_run_state(UUID(failed), Failed())
    wait_for(lambda: site.is_told(failed, "A run failed"), 60, "the message")
    site.forget("score", "planned")


def test_good_runs_and_runs_of_others_are_not_told(site: Site) -> None:
    quiet = [site.run(Completed(name="Usual")), site.run(Failed(), site.theirs)]
    loud = site.run(Failed())
    wait_for(lambda: site.is_told(loud, "failed"), 60, "the message")
    assert not any(site.received.about(run) for run in quiet)


def test_a_run_without_heartbeat_crashes_and_a_finished_one_stays(site: Site) -> None:
    silent, finished = site.run(None), site.run(Failed(name="Drifted"))
    unborn = site.run(None)  # killed before its first heartbeat
    for run in (silent, finished):
        resource = {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.name": "score"}
        tag = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.skinml"}
        emit_event(HEARTBEAT, resource=resource, related=[tag])

    def state(run: str) -> str | None:
        return site.client.read_flow_run(UUID(run)).state_name

    wait_for(lambda: {state(silent), state(unborn)} == {"Crashed"}, 120, "the zombies' end")
    wait_for(lambda: site.is_told(silent, "A run crashed"), 60, "the message")
    wait_for(lambda: _acted(site, finished), 60, "the action on the finished run")
    assert state(finished) == "Drifted"
    assert not site.is_told(finished, "A run crashed")
    assert len(site.client.read_flow_runs()) == len({run.id for run in site.client.read_flow_runs()})


def _acted(site: Site, run: str) -> bool:
    """Whether the zombie automation has acted on a run, in vain."""
    body = {"filter": {"event": {"name": ["prefect.automation.action.failed"]}}, "limit": 50}
    found = site.client.request("POST", "/events/filter", json=body).json()["events"]
    return any(run in json.dumps(event) for event in found)


def test_calls_make_nothing_twice_also_at_the_same_time(site: Site) -> None:
    before = site.names()
    assert len(before) == len(set(before)) == 6
    for _ in range(2):
        said = ensure_automations(site.server.url, site.received.url, MISSED)
        assert [line for line in said if not line.startswith("no deployment")] == []
    for one in site.client.read_automations():
        site.client.delete_automation(one.id)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ensure_automations(site.server.url, site.received.url, MISSED), range(3)))
    assert site.names() == before


def test_definitions_that_changed_are_updated_and_those_of_others_never_touched(site: Site) -> None:
    trigger = EventTrigger(expect={"somebody.else"})
    name = "skinml: tell of failed runs"  # even under our name
    theirs = site.client.create_automation(AutomationCore(name=name, trigger=trigger, actions=[]))
    try:
        failed = next(one for one in site.client.read_automations() if one.name == name and one.id != theirs)
        site.client.pause_automation(failed.id)
        said = ensure_automations(site.server.url, site.received.url, timedelta(seconds=40))
        assert "updated: skinml: runs without heartbeat are crashed" in said
        kept = site.client.read_automation(failed.id)
        assert kept is not None
        assert not kept.enabled  # what a person has switched off stays off
        site.client.resume_automation(failed.id)

        said = ensure_automations(site.server.url, "", MISSED)  # nobody is to be told
        assert sum(line.startswith("removed:") for line in said) == 5
        assert site.names() == ["skinml: runs without heartbeat are crashed", name]
        assert site.client.read_automation(theirs) is not None
        secrets = site.client.read_block_documents()
        assert not [one for one in secrets if one.name and one.name.startswith("skinml")]
    finally:
        site.client.delete_automation(theirs)
        ensure_automations(site.server.url, site.received.url, MISSED)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # of Apprise
def test_mail_is_sent_by_the_server(site: Site) -> None:
    with mail_server() as received:
        ensure_automations(site.server.url, received.url, MISSED)
        try:
            run = site.run(Crashed(message=SECRET))
            wait_for(lambda: len(received.about(run[-12:])) == 2, 60, "two mails")
        finally:
            ensure_automations(site.server.url, site.received.url, MISSED)
    assert all("skinml: score-nightly: Crashed" in mail for mail in received.messages)
    assert not received.about("ISIC")


def test_enough_labelled_lesions_start_one_retraining_only(site: Site, tmp_path: Path) -> None:
    workspace = str(tmp_path / "workspace")

    @flow(name="retrain")
    def retrain() -> None:
        """A flow of this name."""

    deployment = site.client.create_deployment(
        site.client.create_flow(retrain),
        name="retrain",
        work_pool_name="skinml",
        entrypoint="flows.retrain.retrain",
        parameters={"workspace": workspace, "request": {}},
        enforce_parameter_schema=False,
    )
    assert "made: skinml: retrain when enough lesions were labelled" in ensure_automations(
        site.server.url, site.received.url, MISSED
    )

    def runs() -> int:
        return sum(run.deployment_id == deployment for run in site.client.read_flow_runs())

    for resource in (resource_of("/another"), *[resource_of(workspace)] * 3):
        emit_event(
            RETRAINING_DUE, resource={"prefect.resource.id": resource}, payload={"new": 50, "needed": 50}
        )
    wait_for(lambda: runs() > 0, 60, "the retraining")
    loud = site.run(Failed())  # by when this is told, the other events have been seen
    wait_for(lambda: site.is_told(loud, "failed"), 60, "the message")
    assert runs() == 1
    site.forget("retrain", "retrain")
    assert len(site.names()) == 6


def test_a_server_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    with pytest.raises(RunError, match=r"automations on http://127\.0\.0\.1:9/api: "):
        ensure_automations("http://127.0.0.1:9/api", "")


def test_an_address_that_is_none_is_refused(site: Site) -> None:
    with pytest.raises(RequestError, match="SKINML_NOTIFY is not an address"):
        ensure_automations(site.server.url, "clinic.test")
