"""The retrain flow: due or not, what the gate says becomes a decision once, whatever dies in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import flows.retrain
from flows.prepare import prepare
from skinml import tables
from skinml.errors import OverlapError, RunError
from skinml.gate import Rules, judge_challenger
from skinml.layout import model_url, retraining_url
from skinml.models import promotions, registry
from skinml.models.decide import crown_first, promote
from skinml.models.floors import Floors
from skinml.process.crash_points import VARIABLE
from skinml.records.runs import Counts, begin, run_row
from skinml.requests.dataset import PrepareRequest
from skinml.requests.handover import HandoverRequest
from skinml.requests.retraining import RetrainRequest
from skinml.requests.training import TrainRequest
from skinml.storage.objects import exists, names, read_bytes, write_bytes
from skinml.storage.removal import delete
from tasks import retrain as stages
from tests.command import CommandLine
from tests.unit.retraining.colours import CONFUSED, add_lesions, lesions_of, make_model

FIRST = "train-20260101T000000Z-aaaaaa"
LESIONS, NEW = 420, 210
"""Lesions of the champion's training, of which 15 % are test lesions, and those that came later."""


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "judge_challenger", partial(judge_challenger, rules=Rules(resamples=2_000)))


@pytest.fixture
def local(tmp_path: Path) -> str:
    """A place for a workspace, on a folder."""
    (tmp_path / "place").mkdir()
    return str(tmp_path / "place")


def make_ready(place: str, folder: Path) -> str:
    """A workspace with a champion that takes melanomas for naevi and the reverse, and NEW new lesions."""
    add_lesions(place, lesions_of(0, LESIONS), "prepare-1")
    crown_first(place, make_model(place, folder, "v1", CONFUSED), Floors(), FIRST)
    add_lesions(place, lesions_of(10_000, NEW), "prepare-2")
    return place


@pytest.fixture
def ready(local: str, tmp_path: Path) -> str:
    """Such a workspace on a folder."""
    return make_ready(local, tmp_path)


@pytest.fixture
def trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[TrainRequest]]:
    """Stand in for the training, which takes a minute: registers a version of a chosen quality."""

    def arrange(version: str = "v2", swapped: Sequence[int] = ()) -> list[TrainRequest]:
        asked: list[TrainRequest] = []

        def train(workspace: str, request: TrainRequest, options: HandoverRequest) -> str:
            asked.append(request)
            return register_trained(workspace, tmp_path, version, request, swapped)

        monkeypatch.setattr(flows.retrain, "train_challenger", train)
        return asked

    return arrange


def register_trained(
    workspace: str, folder: Path, version: str, request: TrainRequest, swapped: Sequence[int] = ()
) -> str:
    """What a training leaves: a version and a row in `runs`."""
    parameters = {"epochs": request.epochs, "batch_size": request.batch_size, "seed": request.seed}
    make_model(workspace, folder, version, swapped, parameters=parameters)
    run = begin("train", request.model_dump(mode="json"))
    tables.append(workspace, "runs", run_row(run, "completed", Counts(), version), run.run_id)
    return version


def retrain(workspace: str, **asked: Any) -> dict[str, Any]:
    result: dict[str, Any] = flows.retrain.retrain.fn(workspace, RetrainRequest(min_new=100, **asked))
    return result


def champion(workspace: str) -> str:
    return registry.find(workspace, "champion").version


def decisions(workspace: str) -> list[tuple[str, str, str | None]]:
    rows = promotions.read_rows(workspace)
    return [(row["decision"], row["model_version"], row["previous_version"]) for row in rows]


# Due or not


def test_too_few_new_lesions_are_no_reason_to_train(
    ready: str, trains: Callable[..., list[TrainRequest]], skinml: CommandLine
) -> None:
    asked = trains()
    result = skinml("--workspace", ready, "retrain", "--min-new", NEW + 1).result
    assert (result["decision"], result["champion"], result["challenger"]) == ("skipped", "v1", None)
    assert result["reason"] == f"{NEW} of {NEW + 1} new lesions until retraining"
    assert (result["new"], result["needed"], result["criteria"]) == (NEW, NEW + 1, [])
    assert asked == []
    [row] = [row for row in tables.read(ready, "runs").to_pylist() if row["flow"] == "retrain"]
    assert (row["status"], row["new_lesions"], row["model_version"]) == ("completed", NEW, None)
    assert decisions(ready) == [("first", "v1", None)]


@pytest.mark.parametrize("lost", [2, 3])
def test_a_preparation_that_another_run_overtakes_is_done_again(
    ready: str, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """The nightly preparation has another worker. `lost`: how often it is first."""
    asked: list[PrepareRequest] = []

    def overtaken(_: str, request: PrepareRequest) -> None:
        asked.append(request)
        if len(asked) <= lost:
            raise OverlapError("samples was changed by another run")

    monkeypatch.setattr(prepare, "fn", overtaken)
    wanted = RetrainRequest(min_new=NEW + 1, images=("/archive",), metadata=("/archive/metadata.csv",))
    if lost == flows.retrain.PREPARE_ATTEMPTS:
        with pytest.raises(OverlapError):
            flows.retrain.retrain.fn(ready, wanted)
    else:
        assert flows.retrain.retrain.fn(ready, wanted)["decision"] == "skipped"
    assert len(asked) == 3
    assert asked[0].images == ("/archive",)


# What the gate says becomes a decision


def test_a_better_challenger_is_promoted_if_nobody_has_to_approve(
    place: str, tmp_path: Path, trains: Callable[..., list[TrainRequest]], skinml: CommandLine
) -> None:
    ready = make_ready(place, tmp_path)
    asked = trains()
    result = skinml("--workspace", ready, "retrain", "--min-new", 100, "--approve", "auto").result
    assert (result["decision"], result["champion"], result["challenger"]) == ("promoted", "v2", "v2")
    assert result["reason"].startswith("balanced accuracy +0.")
    assert (result["look"], result["looks_allowed"], result["compared_with"]) == (2, 20, "v1")
    page = read_bytes(result["report"]).decode()
    assert "Promoted: the challenger is champion now" in page
    assert {"criteria.png", "disagreements.csv"} <= {*names(result["report"].rpartition("/")[0])}
    [training] = asked
    assert (training.model, training.epochs, training.batch_size, training.seed) == ("thesis-cnn", 3, 16, 7)
    assert training.requested_by == result["run_id"]

    [_, row] = promotions.read_rows(ready)
    assert (row["decision"], row["model_version"], row["previous_version"]) == ("promoted", "v2", "v1")
    assert (row["run_id"], row["decided_by"], row["test_looks"]) == (result["run_id"], "skinml retrain", 2)
    assert row["samples_version"] == tables.version(ready, "samples")
    assert json.loads(row["evidence"]) == result["criteria"]
    assert {"criterion", "champion", "challenger", "difference", "interval", "margin", "verdict"} == {
        *result["criteria"][0]
    }

    again = retrain(ready, approve="auto")
    assert (again["decision"], again["reason"]) == ("skipped", "0 of 100 new lesions until retraining")
    assert len(asked) == 1, "a doubled trigger does nothing"
    skinml("--workspace", ready, "models", "rollback")
    assert champion(ready) == "v1"
    assert retrain(ready)["decision"] == "skipped", "a rollback is no reason to train the same again"


def test_an_equal_challenger_is_kept_calmly(ready: str, trains: Callable[..., list[TrainRequest]]) -> None:
    trains(swapped=CONFUSED)
    result = retrain(ready, approve="auto")
    assert (result["decision"], result["champion"], result["challenger"]) == ("kept", "v1", "v2")
    assert "not enough evidence" in result["reason"]
    assert decisions(ready)[1:] == [("kept", "v2", "v1")]
    assert retrain(ready)["decision"] == "skipped"


def test_a_person_takes_a_proposal_in_one_command_without_another_look(
    ready: str, trains: Callable[..., list[TrainRequest]], skinml: CommandLine
) -> None:
    trains()
    result = retrain(ready)
    assert (result["decision"], result["champion"], result["challenger"]) == ("proposed", "v1", "v2")
    assert result["reason"].startswith("the gate would promote it: ")
    assert result["reason"].endswith("; a person decides")
    assert "Proposed: a person decides" in read_bytes(result["report"]).decode()
    [proposal] = skinml("--workspace", ready, "models").result["proposals"]
    assert (proposal["version"], proposal["state"], proposal["compared_with"]) == ("v2", "open", "v1")
    assert result["run_id"] in proposal["report"]

    taken = skinml("--workspace", ready, "models", "promote", "v2", "--by", "Ada")
    assert f"the gate found: {result['reason']}" in taken.stderr
    assert taken.result["proposal"]["version"] == "v2"
    assert (taken.result["decision"], taken.result["champion"]) == ("promoted", "v2")
    row = promotions.read_rows(ready)[-1]
    assert (row["decided_by"], row["test_looks"], row["run_id"]) == ("Ada", None, None)
    evidence = json.loads(row["evidence"])
    assert all(one in evidence for one in result["criteria"])
    assert len({one["criterion"] for one in evidence}) == len(evidence)
    assert skinml("--workspace", ready, "models").result["proposals"] == []


def test_a_proposal_that_is_out_of_date_says_so(
    ready: str,
    trains: Callable[..., list[TrainRequest]],
    skinml: CommandLine,
    tmp_path: Path,
) -> None:
    trains()
    assert retrain(ready)["decision"] == "proposed"
    add_lesions(ready, lesions_of(30_000, 140), "prepare-3")
    trains("v3")
    assert retrain(ready)["decision"] == "proposed"
    listed = skinml("--workspace", ready, "models").result["proposals"]
    assert [(one["version"], one["state"]) for one in listed] == [
        ("v2", "superseded by the proposal of v3"), ("v3", "open")
    ]  # fmt: skip
    promote(ready, make_model(ready, tmp_path, "v4", CONFUSED), Floors(), "by hand", "Ada", True)
    listed = skinml("--workspace", ready, "models").result["proposals"]
    assert [one["state"] for one in listed][1] == "compared with v1, but v4 is champion now"
    taken = skinml("--workspace", ready, "models", "promote", "v3")
    assert "the proposal of v3 is compared with v1, but v4 is champion now" in taken.stderr
    row = promotions.read_rows(ready)[-1]
    assert row["test_looks"] is not None, "it was compared anew"
    said = "no reason was given; the proposal was compared with v1, but v4 is champion now"
    assert row["reason"] == said, "what the gate said is about another champion"


def test_copies_under_new_lesion_ids_are_no_further_test_lesions(
    ready: str, trains: Callable[..., list[TrainRequest]]
) -> None:
    """They would narrow every interval of the gate, and give back a part of the budget of looks."""
    trains()
    plain = retrain(ready)
    rows = tables.read(ready, "samples").to_pylist()
    test = sorted(row["lesion_id"] for row in rows if row["split"] == "test")
    add_lesions(ready, lesions_of(60_000, len(test), ["test"]), "prepare-3", groups=test)
    add_lesions(ready, lesions_of(90_000, NEW, ["train"]), "prepare-4")
    trains("v3")
    result = retrain(ready)
    assert (result["new"], result["look"]) == (NEW, plain["look"] + 1)
    assert result["images"] == 2 * plain["images"]
    assert result["lesions"] == plain["lesions"]


def test_a_promotion_in_the_meantime_makes_a_proposal_of_it(
    ready: str, trains: Callable[..., list[TrainRequest]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The champion is replaced between the comparison and the decision."""
    trains()
    real = stages.decide

    def late(*given: Any) -> Any:
        promote(ready, make_model(ready, tmp_path, "v3", CONFUSED), Floors(), "by hand", "Ada", True)
        return real(*given)

    monkeypatch.setattr(stages, "decide", late)
    result = retrain(ready, approve="auto")
    assert (result["decision"], result["champion"], result["compared_with"]) == ("proposed", "v3", "v1")
    assert "compared with v1, but the champion is v3 by now; the gate said: balanced" in result["reason"]
    assert decisions(ready)[1:] == [("promoted", "v3", "v1"), ("proposed", "v2", "v1")]


def test_without_a_champion_the_first_is_trained_by_the_usual_rule(
    local: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_lesions(local, lesions_of(0, LESIONS), "prepare-1")

    def train(workspace: str, request: TrainRequest, options: HandoverRequest) -> str:
        manifest = make_model(workspace, tmp_path, "v1")
        crown_first(workspace, manifest, Floors(), FIRST)
        return manifest.version

    monkeypatch.setattr(flows.retrain, "train_challenger", train)
    result = retrain(local)
    assert (result["decision"], result["champion"], result["challenger"]) == ("promoted", "v1", "v1")
    assert result["reason"] == "the first version that meets the floors"
    assert result["criteria"][0]["verdict"] == "met"
    assert retrain(local)["decision"] == "skipped"


# What the models were trained on


def test_lesions_that_the_champion_was_trained_on_judge_nobody(
    local: str, trains: Callable[..., list[TrainRequest]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An image of a training lesion was relabelled as a test lesion's: the same bytes, under another name."""
    add_lesions(local, lesions_of(0, LESIONS), "prepare-1")
    trained = next(row for row in tables.read(local, "samples").to_pylist() if row["split"] == "train")
    crown_first(local, make_model(local, tmp_path, "v1", CONFUSED), Floors(), FIRST)
    add_lesions(local, lesions_of(10_000, NEW), "prepare-2")
    moved = next(row for row in tables.read(local, "samples").to_pylist() if row["split"] == "test")

    def change(rows: Any) -> Any:
        frame = rows.to_pandas()
        frame.loc[frame["image_id"] == moved["image_id"], "sha256"] = trained["sha256"]
        return type(rows).from_pandas(frame, rows.schema, preserve_index=False)

    tables.replace(local, "samples", change, "prepare-3")
    trains()
    result = retrain(local)
    test = [row for row in tables.read(local, "samples").to_pylist() if row["split"] == "test"]
    assert result["images"] == len(test) - 1
    assert "1 test images are left out: the champion was trained on their lesion" in caplog.messages


# Two at once


def test_a_second_retraining_is_skipped_while_the_first_is_at_work(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second: list[dict[str, Any]] = []

    def train(workspace: str, request: TrainRequest, options: HandoverRequest) -> str:
        second.append(retrain(workspace))
        return register_trained(workspace, tmp_path, "v2", request)

    monkeypatch.setattr(flows.retrain, "train_challenger", train)
    first = retrain(ready, approve="auto")
    [other] = second
    assert (other["decision"], other["reason"]) == ("skipped", f"run {first['run_id']} is retraining already")
    assert first["decision"] == "promoted"
    assert decisions(ready) == [("first", "v1", None), ("promoted", "v2", "v1")]


def test_a_run_that_was_taken_for_dead_decides_nothing(
    ready: str, trains: Callable[..., list[TrainRequest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trains()
    real = stages.judge

    def slow(*given: Any) -> Any:
        found = real(*given)
        claim = json.loads(read_bytes(retraining_url(ready)))
        write_bytes(retraining_url(ready), json.dumps({**claim, "run_id": "retrain-other"}).encode())
        return found

    monkeypatch.setattr(stages, "judge", slow)
    with pytest.raises(RunError, match="run retrain-other has taken this run for dead"):
        retrain(ready, approve="auto")
    assert decisions(ready) == [("first", "v1", None)]
    assert champion(ready) == "v1"


# Dying


POINTS = {
    31: "claimed",
    33: "trained",
    34: "judged",
    21: "before the alias",
    22: "alias written",
    35: "decided",
}


def _train_in(place: str, workspace: str, request: TrainRequest, options: HandoverRequest) -> str:
    return register_trained(workspace, Path(place), "v2", request)


def _die(places: dict[int, str]) -> None:
    """Retrain in each place, in a process that is killed at the place's point. One process imports for all."""
    setattr(stages, "judge_challenger", partial(judge_challenger, rules=Rules(resamples=2_000)))  # noqa: B010
    for point, place in places.items():
        if os.fork():
            _, status = os.wait()
            assert os.WTERMSIG(status) == signal.SIGKILL, point
            continue
        os.environ[VARIABLE] = f"{point}:{place}/order"
        trainer = partial(_train_in, place)
        setattr(flows.retrain, "train_challenger", trainer)  # noqa: B010
        retrain(place, approve="auto")
        os._exit(0)


def test_what_a_killed_retraining_leaves_is_decided_once(
    local: str, tmp_path: Path, trains: Callable[..., list[TrainRequest]]
) -> None:
    make_ready(local, tmp_path)
    places = {point: str(shutil.copytree(local, tmp_path / str(point))) for point in POINTS}
    for place in places.values():
        Path(place, "order").touch()
    victim = multiprocessing.get_context("spawn").Process(target=_die, args=(places,))
    victim.start()
    victim.join(280)
    assert victim.exitcode == 0

    for point, workspace in places.items():
        decided = point in (22, 35)
        assert champion(workspace) == ("v2" if decided else "v1"), "never half a champion"
        asked = trains("v3" if point == 31 else "never")
        result = retrain(workspace, approve="auto")
        assert result["decision"] == ("skipped" if decided else "promoted"), POINTS[point]
        assert champion(workspace) == ("v3" if point == 31 else "v2")
        assert len(asked) == (point == 31), "what was trained is judged, not trained again"
        rows = promotions.history(workspace)  # of point 22, the next decision writes the row
        assert [(row["decision"], row["model_version"], row["previous_version"]) for row in rows] == [
            ("first", "v1", None), ("promoted", champion(workspace), "v1")
        ]  # fmt: skip
        runs = [row for row in tables.read(workspace, "runs").to_pylist() if row["flow"] == "retrain"]
        assert sorted(row["status"] for row in runs) == ["completed", "failed"], POINTS[point]


# Bad input


def test_wrong_requests_are_refused_in_one_line_and_change_nothing(
    ready: str, skinml: CommandLine, tmp_path: Path
) -> None:
    def refused(*flags: object, workspace: str = ready) -> str:
        answer = skinml("--workspace", workspace, "retrain", *flags, expect=2)
        [line] = answer.stderr.strip().splitlines()
        return line

    before = tables.version(ready, "runs")
    assert "--min-new '0': input should be greater than or equal to 1" in refused("--min-new", 0)
    assert "--images needs --metadata too" in refused("--images", tmp_path)
    assert "--metadata needs --images too" in refused("--metadata", tmp_path / "m.csv")
    assert "no architecture is called 'vgg16'" in refused("--model", "vgg16")
    assert "--approve 'nobody'" in refused("--approve", "nobody")
    assert "no samples yet" in refused(workspace=str(tmp_path / "empty"))
    delete([f"{model_url(ready, 'thesis-cnn', 'v1')}/model.onnx"])
    assert "model.onnx" in skinml("--workspace", ready, "retrain", expect=2).stderr.splitlines()[-1]
    delete([f"{model_url(ready, 'thesis-cnn', 'v1')}/manifest.json"])
    assert "v1: no such version" in refused()
    assert tables.version(ready, "runs") == before
    assert not exists(retraining_url(ready))


def test_a_gate_without_test_lesions_or_budget_trains_nothing(
    local: str, tmp_path: Path, trains: Callable[..., list[TrainRequest]], skinml: CommandLine
) -> None:
    add_lesions(local, lesions_of(0, 210), "prepare-1")
    crown_first(local, make_model(local, tmp_path, "v1"), Floors(), FIRST)
    asked = trains()
    add_lesions(local, lesions_of(10_000, 140, ["train"]), "prepare-2")
    row = promotions.read_rows(local)[0]
    for number in range(20):  # looks that are spent
        look = {
            **row,
            "model_version": f"w{number}",
            "decision": "kept",
            "previous_version": "v1",
            "run_id": None,
        }
        tables.append(
            local,
            "promotions",
            type(tables.read(local, "promotions")).from_pylist([look], tables.read(local, "promotions").schema),
            f"look-{number}",
        )
    failed = skinml("--workspace", local, "retrain", "--min-new", 100, expect=1).stderr.splitlines()[-1]
    assert "the test budget is spent: 21 of 20 looks" in failed

    def only_training(rows: Any) -> Any:
        frame = rows.to_pandas()
        return type(rows).from_pandas(frame[frame["split"] != "test"], rows.schema, preserve_index=False)

    tables.replace(local, "samples", only_training, "prepare-3")
    failed = skinml("--workspace", local, "retrain", "--min-new", 100, expect=1).stderr.splitlines()[-1]
    assert "no lesion is in the split test" in failed
    assert asked == []
    assert champion(local) == "v1"
