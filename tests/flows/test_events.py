"""Events about labelled lesions: only under Prefect, counts alone, and a failure fails nothing."""

from __future__ import annotations

from typing import Any

import pytest

from skinml.errors import RunError
from skinml.notify.workspace_id import resource_of
from tasks import events, labelled
from tasks.events import LESIONS_ARRIVED, RETRAINING_DUE, emit_lesions


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is emitted, as if this were a Prefect run."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("prefect.events.emit_event", lambda **event: found.append(event))
    monkeypatch.setattr(events, "under_prefect", lambda: True)
    return found


def test_lesions_that_arrive_are_an_event_and_enough_of_them_another(sent: list[dict[str, Any]]) -> None:
    emit_lesions("s3://clinic/skinml", added=7, new=37, needed=50)
    emit_lesions("s3://clinic/skinml", added=13, new=50, needed=50)
    emit_lesions("s3://clinic/skinml", added=0, new=50, needed=50)
    assert [one["event"] for one in sent] == [LESIONS_ARRIVED, LESIONS_ARRIVED, RETRAINING_DUE]
    assert {one["resource"]["prefect.resource.id"] for one in sent} == {resource_of("s3://clinic/skinml")}
    assert [one["payload"] for one in sent] == [{"new": 37, "needed": 50}, *[{"new": 50, "needed": 50}] * 2]
    assert "clinic" not in str(sent), "no names of folders"


def test_without_prefect_nothing_is_emitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect.events.emit_event", lambda **_: pytest.fail("emitted"))
    emit_lesions("s3://clinic/skinml", added=7, new=50, needed=50)


def test_an_event_that_cannot_be_sent_fails_nothing(
    sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no\nserver")

    monkeypatch.setattr("prefect.events.emit_event", fail)
    emit_lesions("s3://clinic/skinml", added=7, new=50, needed=50)
    assert [line for line in caplog.messages if "could not be sent: no server" in line] == [
        f"the event {name} could not be sent: no server" for name in (LESIONS_ARRIVED, RETRAINING_DUE)
    ]


def test_a_count_that_fails_fails_no_preparation(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RunError("this table cannot be used")

    monkeypatch.setattr(labelled, "count_new_lesions", fail)
    assert labelled.count_after_prepare(place, None, 3, 50) is None
    assert "new lesions could not be counted: this table cannot be used" in caplog.messages
