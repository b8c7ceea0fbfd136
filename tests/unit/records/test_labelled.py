"""Tests of skinml/records/labelled.py: what is new since a run has decided about a model that saw it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skinml import tables
from skinml.errors import RunError
from skinml.layout import champion_url
from skinml.models import promotions
from skinml.models.champion import Champion, read_alias, write_champion
from skinml.models.decide import crown_first, promote
from skinml.models.decide_challenger import decide_challenger
from skinml.models.floors import Floors
from skinml.models.manifest import Manifest
from skinml.records.labelled import count_new_lesions, lesions_added
from skinml.storage.objects import write_bytes
from tests.unit.retraining.colours import add_lesions, lesions_of, make_model


def decided(place: str, challenger: Manifest, run_id: str, outcome: Any = "kept") -> None:
    alias = read_alias(place)
    assert alias is not None
    decide_challenger(place, challenger, alias, outcome, "a test", [], "0123", 1, run_id)


def test_lesions_are_new_until_a_run_has_decided_about_a_model_that_saw_them(
    place: str, tmp_path: Path
) -> None:
    assert count_new_lesions(place).new == 0
    first = add_lesions(place, lesions_of(0, 70), "prepare-1")
    found = count_new_lesions(place)
    assert (found.new, found.since_version, found.since) == (70, None, None)
    assert found.in_words(100) == "70 of 100 new lesions until retraining"

    crown_first(place, make_model(place, tmp_path, "v1"), Floors(), "train-20260101T000000Z-aaaaaa")
    assert count_new_lesions(place).new == 0
    add_lesions(place, lesions_of(1000, 30), "prepare-2")
    found = count_new_lesions(place)
    assert (found.new, found.since_version) == (30, first)
    challenger = make_model(place, tmp_path, "v2")
    assert count_new_lesions(place).new == 30, "trained, but nobody has decided"
    add_lesions(place, lesions_of(2000, 5), "prepare-3")
    decided(place, challenger, "retrain-20260102T000000Z-aaaaaa")
    assert count_new_lesions(place).new == 5, "those that came while it was trained"
    assert lesions_added(place, first, tables.version(place, "samples")) == 35
    assert lesions_added(place, None, first) == 70
    assert lesions_added(place, first, first) == lesions_added(place, None, None) == 0


@pytest.mark.parametrize("is_readable", [True, False])
def test_the_same_photographs_under_new_lesion_ids_are_no_new_lesions(
    place: str, tmp_path: Path, is_readable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add_lesions(place, lesions_of(0, 20), "prepare-1")
    crown_first(place, make_model(place, tmp_path, "v1"), Floors(), "train-20260101T000000Z-aaaaaa")
    if not is_readable:  # so that the time of preparation decides
        monkeypatch.setattr("skinml.records.labelled._lesions_at", lambda *_: None)
    copies = lesions_of(5000, 20)
    add_lesions(place, copies, "prepare-2", groups=lesions_of(0, 19) + copies[-1:])
    assert count_new_lesions(place).new == 1
    assert lesions_added(place, first, tables.version(place, "samples")) == 1


def test_a_training_by_hand_whose_model_is_champion_counts_too(place: str, tmp_path: Path) -> None:
    add_lesions(place, lesions_of(0, 70), "prepare-1")
    crown_first(place, make_model(place, tmp_path, "v1"), Floors(), "train-20260101T000000Z-aaaaaa")
    add_lesions(place, lesions_of(1000, 30), "prepare-2")
    later = make_model(place, tmp_path, "v2", created_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    promote(place, later, Floors(), "by hand", "Ada", False)
    assert count_new_lesions(place).new == 0


def test_the_decision_of_a_killed_promotion_counts_before_its_row_is_written(
    place: str, tmp_path: Path
) -> None:
    add_lesions(place, lesions_of(0, 70), "prepare-1")
    crown_first(place, make_model(place, tmp_path, "v1"), Floors(), "train-20260101T000000Z-aaaaaa")
    add_lesions(place, lesions_of(1000, 30), "prepare-2")
    v2 = make_model(place, tmp_path, "v2")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(promotions, "add_row", lambda *_: None)
        decided(place, v2, "retrain-20260102T000000Z-aaaaaa", "promoted")
    assert len(promotions.read_rows(place)) == 1
    assert count_new_lesions(place).new == 0


@pytest.mark.parametrize("lost", ["bundle", "version", "log"])
def test_without_the_version_of_the_samples_their_time_decides(
    place: str, tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A champion whose bundle does not say, a table that was made anew, a log that somebody has cleaned."""
    add_lesions(place, lesions_of(0, 70), "prepare-1")
    dataset = {"bundle": {}, "version": {"version": 99}, "log": {"version": 1}}[lost]
    soon = datetime.now(UTC) + timedelta(seconds=2)
    make_model(place, tmp_path, "v1", dataset=dataset, created_at=soon.isoformat())
    champion = Champion(model_name="thesis-cnn", model_version="v1")
    assert write_champion(place, champion, None)
    if lost == "log":
        real = tables.read

        def cleaned(workspace: str, table: str, columns: Any = None, at: int | None = None) -> Any:
            if at is not None:
                raise RunError("this table cannot be used")
            return real(workspace, table, columns, at)

        monkeypatch.setattr(tables, "read", cleaned)
    assert count_new_lesions(place).new == 0
    monkeypatch.setattr("tests.unit.retraining.colours.datetime", _At(soon + timedelta(seconds=1)))
    add_lesions(place, lesions_of(1000, 30), "prepare-2")
    found = count_new_lesions(place)
    assert (found.new, found.since_version) == (30, None)


class _At:
    """A clock that stands."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self, _: Any) -> datetime:
        return self._moment


def test_a_champion_that_cannot_be_read_makes_nobody_fail(place: str, tmp_path: Path) -> None:
    add_lesions(place, lesions_of(0, 70), "prepare-1")
    crown_first(place, make_model(place, tmp_path, "v1"), Floors(), "train-20260101T000000Z-aaaaaa")
    write_bytes(champion_url(place), b"{")
    assert count_new_lesions(place).new == 0, "the row in promotions says it"
