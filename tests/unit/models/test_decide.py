"""Decisions about the champion: floors, promotions, rollbacks, two at once, and what a crash leaves."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skinml import tables
from skinml.errors import RequestError, RunError, SkinmlError
from skinml.layout import champion_url, model_url, table_url
from skinml.models import deciding, promotions, registry
from skinml.models.champion import Alias, Champion, read_alias, write_champion
from skinml.models.decide import crown_first, promote, roll_back
from skinml.models.floors import Floors
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision
from skinml.models.verification import verify
from skinml.process.crash_points import VARIABLE
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.storage.removal import delete, delete_folder
from tests.unit.models.bundles import make_version

RUN = "train-20260101T000000Z-abcdef"
NONE = Floors()

Make = Callable[..., Manifest]


@pytest.fixture
def make(place: str, tmp_path: Path) -> Make:
    """Register a version: `make("v1", right=0.9)`."""
    return lambda version, right=0.9, **more: make_version(place, tmp_path, version, right, **more)


def by_hand(place: str, manifest: Manifest, **more: Any) -> Decision:
    asked: dict[str, Any] = {"reason": "a test", "by": "Ada", "force": False, "floors": NONE} | more
    return promote(place, manifest, asked["floors"], asked["reason"], asked["by"], asked["force"])


def decisions(place: str) -> list[tuple[str, str, str | None]]:
    return [
        (row["decision"], row["model_version"], row["previous_version"]) for row in promotions.read_rows(place)
    ]


def champion(place: str) -> str:
    return registry.find(place, "champion").version


# The first version


def test_the_first_version_above_chance_is_champion(place: str, make: Make) -> None:
    decision = crown_first(place, make("v1"), NONE, RUN)
    assert decision is not None
    assert (decision.decision, decision.test_looks, decision.decided_by) == ("first", 1, "skinml train")
    assert champion(place) == "v1"
    [row] = promotions.read_rows(place)
    assert (row["decision"], row["run_id"], row["previous_version"]) == ("first", RUN, None)
    criterion, *_ = json.loads(row["evidence"])
    assert criterion.keys() == {
        *("criterion", "champion", "challenger", "difference", "interval", "margin", "verdict")
    }
    assert criterion["verdict"] == "met"
    assert criterion["margin"] == pytest.approx(1 / 7)
    assert criterion["interval"][0] > 1 / 7
    assert crown_first(place, registry.find(place, "v1"), NONE, RUN) == decision, "a stage that is tried again"
    assert len(decisions(place)) == 1


def test_a_version_that_guesses_is_kept_out_and_the_evidence_is_kept(place: str, make: Make) -> None:
    decision = crown_first(place, make("v1", right=1 / 7), NONE, RUN)
    assert decision is not None
    assert decision.decision == "kept"
    assert not exists(champion_url(place))
    assert "balanced_accuracy better than chance: not met" in decision.reason
    assert decisions(place) == [("kept", "v1", None)]
    with pytest.raises(RequestError, match="no version has met the floors"):
        registry.find(place, "champion")

    later = crown_first(place, make("v2"), NONE, "train-20260102T000000Z-abcdef")
    assert later is not None
    assert (later.decision, later.test_looks) == ("first", 2)
    assert champion(place) == "v2"


def test_floors_of_the_configuration_count_too(place: str, make: Make) -> None:
    floors = Floors(balanced_accuracy=0.8, melanoma_sensitivity=0.99)
    decision = crown_first(place, make("v1"), floors, RUN)
    assert decision is not None
    assert decision.decision == "kept"
    verdicts = {one["criterion"]: one["verdict"] for one in decision.evidence}
    assert verdicts == {
        "balanced_accuracy better than chance": "met",
        "balanced_accuracy floor": "met",
        "melanoma_sensitivity floor": "not met",
    }
    assert "balanced_accuracy" not in decision.reason


def test_train_replaces_no_champion(place: str, make: Make) -> None:
    crown_first(place, make("v1"), NONE, RUN)
    assert crown_first(place, make("v2", right=1.0), NONE, "train-20260102T000000Z-abcdef") is None
    assert champion(place) == "v1"
    assert len(decisions(place)) == 1


# Promotions


def test_a_promotion_leaves_a_row_with_what_it_looked_at(place: str, make: Make) -> None:
    crown_first(place, make("v1", right=0.5), NONE, RUN)
    decision = by_hand(place, make("v2", right=0.95))
    assert (decision.decision, decision.previous_version, decision.test_looks) == ("promoted", "v1", 2)
    assert champion(place) == "v2"
    row = promotions.read_rows(place)[-1]
    assert (row["reason"], row["decided_by"], row["run_id"]) == ("a test", "Ada", None)
    evidence = {one["criterion"]: one for one in json.loads(row["evidence"])}
    against = evidence["balanced_accuracy against the champion"]
    assert against["verdict"] == "better"
    assert against["difference"] == pytest.approx(against["challenger"] - against["champion"])
    assert promotions.champions(place) == {("tiny", "v1"), ("tiny", "v2")}


def test_a_version_below_the_floors_is_promoted_by_force_only_and_that_is_recorded(
    place: str, make: Make
) -> None:
    guess = make("v1", right=1 / 7)
    with pytest.raises(RequestError, match=r"below the floors: .*not met.*; --force promotes it"):
        by_hand(place, guess)
    assert not exists(champion_url(place))
    assert decisions(place) == []
    assert by_hand(place, guess, force=True).decision == "forced"
    assert decisions(place) == [("forced", "v1", None)]
    assert by_hand(place, make("v2"), force=True).decision == "promoted", "force was not needed"


def test_what_is_champion_already_is_refused(place: str, make: Make) -> None:
    first = make("v1")
    by_hand(place, first)
    with pytest.raises(RequestError, match="model v1 is champion already"):
        by_hand(place, first, force=True)
    assert len(decisions(place)) == 1


@pytest.mark.parametrize("file", ["metrics.json", "predictions.parquet", "model.onnx"])
def test_a_version_with_a_changed_file_is_refused_even_by_force(file: str, place: str, make: Make) -> None:
    manifest = make("v1")
    url = f"{model_url(place, 'tiny', 'v1')}/{file}"
    data = bytearray(read_bytes(url))
    data[40] ^= 1
    write_bytes(url, bytes(data))
    with pytest.raises(RequestError, match=f"{file}: SHA-256"):
        by_hand(place, manifest, force=True)
    assert not exists(champion_url(place))
    delete([url])
    with pytest.raises(RequestError, match=f"{file}: not found"):
        by_hand(place, manifest, force=True)


def test_a_network_of_other_classes_or_pixels_is_refused(place: str, make: Make) -> None:
    other = make("v1", preprocessing={"size": 99, "decode": "fast", "filter": "bicubic"})
    with pytest.raises(
        RequestError, match=r"takes pixels of shape \[12, 12, 3\], its manifest says 99 x 99 x 3"
    ):
        by_hand(place, other, force=True)


def test_a_manifest_that_was_changed_after_a_decision_is_refused(place: str, make: Make) -> None:
    first = make("v1")
    by_hand(place, first)
    by_hand(place, make("v2"))
    url = f"{model_url(place, 'tiny', 'v1')}/manifest.json"
    write_bytes(url, read_bytes(url).replace(b'"train-', b'"TRAIN-'))
    with pytest.raises(RequestError, match="its manifest was changed after a decision about it"):
        by_hand(place, registry.find(place, "v1"), force=True)
    with pytest.raises(RequestError, match="its manifest was changed after a decision about it"):
        roll_back(place, "", "")
    assert champion(place) == "v2"
    [broken, whole] = verify(place)[0]
    assert (broken["whole"], whole["whole"]) == (False, True)


def test_a_version_from_before_predictions_cannot_be_judged(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    made = make_version(place, tmp_path, "v1")
    for file in made.files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(registry.read_verified(place, made, file))
    (folder / "predictions.parquet").unlink()
    measured = json.loads((folder / "metrics.json").read_text())
    del measured["intervals"]
    (folder / "metrics.json").write_text(json.dumps(measured))
    fields = made.model_dump(exclude={"class_order", "created_at", "files"}) | {"version": "v0"}
    old = registry.register(place, folder, fields)
    with pytest.raises(RequestError, match="not judged, because the version keeps neither intervals nor"):
        by_hand(place, old)
    decision = by_hand(place, old, force=True)
    assert (decision.decision, decision.test_looks, decision.test_set) == ("forced", None, None)


# Rollbacks


def test_a_rollback_to_a_version_that_is_gone_says_so(place: str, make: Make) -> None:
    """Somebody wrote it into champion.json, or deleted its folder."""
    by_hand(place, make("v1"))
    write_champion(place, Champion(model_name="tiny", model_version="gone"), read_alias(place))
    by_hand(place, make("v2"))
    with pytest.raises(RequestError, match=r"^models rollback to gone: no such version"):
        roll_back(place, "", "")
    assert champion(place) == "v2"


def test_a_rollback_goes_back_by_one_each_time(place: str, make: Make) -> None:
    with pytest.raises(RequestError, match="has no champion: there is nothing to roll back"):
        roll_back(place, "", "")
    for version in ("v1", "v2", "v3"):
        by_hand(place, make(version))
    assert roll_back(place, "it drifts", "Ada").model_version == "v2"
    assert roll_back(place, "", "").reason == "rolled back from v2"
    assert champion(place) == "v1"
    with pytest.raises(RequestError, match="champion v1 has no predecessor in promotions"):
        roll_back(place, "", "")
    assert decisions(place)[3:] == [("rolled_back", "v2", "v3"), ("rolled_back", "v1", "v2")]
    by_hand(place, registry.find(place, "v3"))
    assert roll_back(place, "", "").model_version == "v1"


def test_a_champion_from_before_the_table_is_a_predecessor(place: str, make: Make) -> None:
    make("v1")
    write_bytes(champion_url(place), b'{"model_name": "tiny", "model_version": "v1"}')
    with pytest.raises(RequestError, match="no predecessor"):
        roll_back(place, "", "")
    by_hand(place, make("v2"))
    assert roll_back(place, "", "").model_version == "v1"


def test_a_predecessor_that_was_deleted_is_named(place: str, make: Make) -> None:
    for version in ("v1", "v2"):
        by_hand(place, make(version))
    delete([f"{model_url(place, 'tiny', 'v1')}/manifest.json"])
    with pytest.raises(RequestError, match="v1: no such version"):
        roll_back(place, "", "")
    assert champion(place) == "v2"


# Two at once, crashes, edits by hand


def test_of_many_promotions_at_once_one_wins_and_the_others_are_told(
    place: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(place, make("v0"))
    manifests = [make(f"v{number}") for number in range(1, 5)]
    together = threading.Barrier(4)

    def attempt(manifest: Manifest) -> Decision | SkinmlError:
        try:
            return by_hand(place, manifest)
        except SkinmlError as error:
            return error

    def wait_first(workspace: str, champion: Champion, before: Alias | None) -> bool:
        together.wait(60)
        return write_champion(workspace, champion, before)

    monkeypatch.setattr(deciding, "write_champion", wait_first)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, manifests))
    [winner] = [one for one in outcomes if isinstance(one, Decision)]
    losers = [str(one) for one in outcomes if isinstance(one, RequestError)]
    assert len(losers) == 3
    assert all(f"the champion was v0 and now is {winner.model_version}" in one for one in losers)
    assert champion(place) == winner.model_version
    assert decisions(place) == [("promoted", "v0", None), ("promoted", winner.model_version, "v0")]


def _promote_and_die(place: str, version: str, order: str) -> None:
    os.environ[VARIABLE] = order
    by_hand(place, registry.find(place, version))


@pytest.mark.parametrize("point", [21, 22])
def test_what_a_killed_promotion_leaves_is_finished_by_the_next(
    point: int, place: str, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    by_hand(place, make("v1"))
    make("v2")
    order = tmp_path / "order"
    order.touch()
    victim = multiprocessing.get_context("spawn").Process(
        target=_promote_and_die, args=(place, "v2", f"{point}:{order}")
    )
    victim.start()
    victim.join(120)
    assert victim.exitcode == -9

    assert decisions(place) == [("promoted", "v1", None)]
    if point == 21:
        assert champion(place) == "v1"
        assert verify(place)[1] == []
        return
    assert champion(place) == "v2"
    assert promotions.champions(place) == {("tiny", "v1"), ("tiny", "v2")}
    [_, shown] = promotions.history(place)
    assert (shown["decision"], shown["model_version"], shown["decided_by"]) == ("promoted", "v2", "Ada")
    assert "the promotion of v2 has no row yet; the next one writes it" in verify(place)[1][0]
    assert roll_back(place, "", "").model_version == "v1"
    assert decisions(place)[1:] == [("promoted", "v2", "v1"), ("rolled_back", "v1", "v2")]
    assert any("was interrupted; its row in promotions is written now" in line for line in caplog.messages)
    assert verify(place)[1] == []


def test_an_edit_by_hand_is_reported_and_can_be_undone(place: str, make: Make) -> None:
    by_hand(place, make("v1"))
    make("v2")
    record = json.loads(read_bytes(champion_url(place)))
    edited = record | {"model_version": "v2", "manifest_sha256": None}
    write_bytes(champion_url(place), json.dumps(edited).encode())
    assert champion(place) == "v2", "whoever may write there decides"
    assert promotions.champions(place) == {("tiny", "v1"), ("tiny", "v2")}
    [problem] = verify(place)[1]
    assert "names v2, but the last row in promotions made v1 champion: it was edited by hand" in problem
    by_hand(place, make("v3"))
    assert decisions(place) == [("promoted", "v1", None), ("promoted", "v3", "v2")], "no row was invented"
    assert roll_back(place, "", "").model_version == "v2"


@pytest.mark.parametrize("rubbish", [[1], "x", {"decision_id": 3}, {"decision": "first"}])
def test_a_decision_in_the_record_that_is_none_stops_nothing(rubbish: object, place: str, make: Make) -> None:
    make("v1")
    record = {"model_name": "tiny", "model_version": "v1", "decision": rubbish}
    write_bytes(champion_url(place), json.dumps(record).encode())
    assert champion(place) == "v1"
    assert promotions.history(place) == []
    by_hand(place, make("v2"))
    assert decisions(place) == [("promoted", "v2", "v1")]


def test_a_record_that_cannot_be_read_is_not_overwritten(place: str, make: Make) -> None:
    write_bytes(champion_url(place), b"{")
    manifest = make("v1")
    with pytest.raises(RequestError, match="delete it and run skinml models promote VERSION"):
        by_hand(place, manifest, force=True)
    assert read_bytes(champion_url(place)) == b"{"
    delete([champion_url(place)])
    assert by_hand(place, manifest).decision == "promoted"


def test_a_broken_table_stops_a_promotion_before_the_alias_changes(place: str, make: Make) -> None:
    by_hand(place, make("v1"))
    write_bytes(f"{table_url(place, 'promotions')}/_delta_log/00000000000000000001.json", b"{")
    manifest = make("v2")
    with pytest.raises(RunError, match="promotions: this table cannot be used"):
        by_hand(place, manifest)
    assert champion(place) == "v1"
    assert any("this table cannot be used" in one for one in verify(place)[1])


def test_a_lost_table_begins_anew(place: str, make: Make) -> None:
    """Its rows are gone, but the last decision is in the record, and comes back with the next one."""
    by_hand(place, make("v1"))
    by_hand(place, make("v2"))
    delete_folder(table_url(place, "promotions"))
    by_hand(place, make("v3"))
    assert decisions(place) == [("promoted", "v2", "v1"), ("promoted", "v3", "v2")]


def test_rows_keep_their_order_though_a_clock_is_late() -> None:
    ahead = datetime.now(UTC) + timedelta(days=300)
    assert promotions.next_moment([{"promoted_at": ahead}]) > ahead
    assert promotions.next_moment([]) < ahead


def test_the_columns_are_those_of_the_contract(place: str, make: Make) -> None:
    by_hand(place, make("v1"))
    assert tables.read(place, "promotions").num_rows == 1
    [row] = promotions.read_rows(place)
    assert all(row[name] is not None for name in row if name not in ("previous_version", "run_id"))
