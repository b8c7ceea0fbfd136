"""The verb `models` as a person and a program use it, on a folder and in a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skinml import tables
from skinml.layout import champion_url, model_url
from skinml.models import registry
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.storage.tree import walk
from tests.command import CommandLine
from tests.unit.models.bundles import make_version

EMPTY: list[tuple[list[str], str | None]] = [
    ([], None),
    (["list"], None),
    (["history"], None),
    (["verify"], None),
    (["show", "champion"], "models show champion: WS has no champion yet; run skinml train first"),
    (["show", "v1"], "models show v1: WS has no model yet; run skinml train first"),
    (["compare", "v1", "v2"], "models compare v1: WS has no model yet; run skinml train first"),
    (["promote", "v1", "--force"], "models promote v1: WS has no model yet; run skinml train first"),
    (["rollback"], "WS has no champion: there is nothing to roll back"),
]


@pytest.mark.parametrize(("arguments", "refusal"), EMPTY, ids=lambda value: str(value)[:20])
def test_an_empty_registry_is_a_state_like_any_other(
    arguments: list[str], refusal: str | None, place: str, skinml: CommandLine
) -> None:
    workspace = f"{place}/workspace"
    answer = skinml("--workspace", workspace, "models", *arguments, expect=0 if refusal is None else 2)
    if refusal is None:
        assert [*answer.result.values()] in ([[], None], [[], []], [[], None, []])
    else:
        assert refusal.replace("WS", workspace) in answer.stderr.splitlines()[-1]
    assert list(walk(place)) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["promote"], "models: promote takes one version, not none"),
        (["promote", "v1", "v2"], "models: promote takes one version, not v1, v2"),
        (["compare", "v1"], "models: compare takes two versions, not v1"),
        (["list", "v1"], "models: list takes no version, not v1"),
        (["rollback", "v1"], "models: rollback takes no version, not v1"),
        (["verify", "v1", "v2"], "models: verify takes at most one version, not v1, v2"),
        (["promot", "v1"], "did you mean promote?"),
        (["promote", "v1", "--floor-balanced-accuracy", "2"], "--floor-balanced-accuracy '2'"),
        (["promote", "v1", "--forced"], "models has no '--forced'; did you mean --force?"),
        (["promote", "v1", "--reason", "x" * 1001], "at most 1000 characters"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, skinml: CommandLine
) -> None:
    answer = skinml("--workspace", tmp_path, "models", *arguments, expect=2)
    assert said in answer.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_registry_is_listed_decided_on_and_verified(place: str, tmp_path: Path, skinml: CommandLine) -> None:
    """From no champion to a rollback, through the command line alone."""
    workspace = f"{place}/workspace"

    def models(*arguments: str, expect: int = 0) -> Any:
        answer = skinml("--workspace", workspace, "models", *arguments, expect=expect)
        return answer.stderr if expect == 2 else json.loads(answer.stdout.splitlines()[-1])

    for version, right in (("20260101-aaa", 1 / 7), ("20260102-bbb", 0.5), ("20260103-ccc", 0.95)):
        make_version(workspace, tmp_path, version, right)
    listed = models("list")
    assert [row["version"] for row in listed["models"]] == ["20260101-aaa", "20260102-bbb", "20260103-ccc"]
    assert (listed["champion"], [row["champion"] for row in listed["models"]]) == (None, [False] * 3)
    assert "is below the floors" in models("promote", "20260101", expect=2)
    forced = models("promote", "--force", "20260101", "--by", "Ada")
    assert (forced["decision"], forced["decided_by"], forced["previous_version"]) == ("forced", "Ada", None)
    promoted = models("promote", "--reason", "better, see the comparison", "20260103")
    assert (promoted["decision"], promoted["champion"]) == ("promoted", "20260103-ccc")
    assert [one["verdict"] for one in promoted["criteria"]][:3] == ["met", "better", "better"]
    assert {row["version"]: row["champion"] for row in promoted["models"]} == {
        "20260101-aaa": False,
        "20260103-ccc": True,
    }
    assert "is champion already" in models("promote", "champion", expect=2)
    assert "below the floors" in models("promote", "20260102", "--floor-balanced-accuracy", "60%", expect=2)

    compared = models("compare", "20260102", "champion")
    assert [row["version"] for row in compared["models"]] == ["20260102-bbb", "20260103-ccc"]
    assert compared["metrics"]["balanced_accuracy"]["interval"][0] > 0
    shown = models("show", "champion")
    assert shown["metrics"]["balanced_accuracy"] == shown["models"][0]["balanced_accuracy"]
    assert [row["decision"] for row in shown["promotions"]] == ["promoted"]
    assert {row["file"] for row in shown["files"]} == {"metrics.json", "model.onnx", "predictions.parquet"}

    assert models("rollback")["champion"] == "20260101-aaa"
    assert registry.find(workspace, "champion").version == "20260101-aaa"
    history = models("history")["promotions"]
    assert [row["decision"] for row in history] == ["forced", "promoted", "rolled_back"]
    assert json.loads(history[1]["evidence"])[1]["criterion"] == "balanced_accuracy against the champion"
    assert [row["test_looks"] for row in history] == [1, 2, None]
    assert history[0].keys() >= {
        *("promoted_at", "alias", "model_name", "model_version", "previous_version", "decision", "reason"),
        *("evidence", "test_looks", "decided_by", "run_id"),
    }
    assert tables.read(workspace, "runs").num_rows == 0

    verified = models("verify")
    assert (verified["problems"], [row["files"] for row in verified["models"]]) == ([], [3, 3, 3])
    url = f"{model_url(workspace, 'tiny', '20260102-bbb')}/model.onnx"
    write_bytes(url, read_bytes(url)[:-1] + b"!")
    assert "model.onnx: SHA-256" in models("verify", expect=1)["problems"][0]
    assert models("verify", "20260102", expect=1)["models"][0]["whole"] is False
    assert models("verify", "20260103")["problems"] == []
    assert "model.onnx: SHA-256" in models("promote", "20260102", "--force", expect=2)


def test_a_version_that_cannot_be_read_does_not_hide_the_others(
    place: str, tmp_path: Path, skinml: CommandLine
) -> None:
    for version in ("v1", "v2", "v3"):
        make_version(place, tmp_path, version)
    write_bytes(f"{model_url(place, 'tiny', 'v2')}/manifest.json", b"{")
    write_bytes(f"{model_url(place, 'tiny', 'v4')}/model.onnx", b"of a registration that was cut off")
    rows = skinml("--workspace", place, "models").result["models"]
    assert [row["version"] for row in rows] == ["v1", "v2", "v3"]
    assert "manifest.json is not a manifest" in rows[1]["problem"]
    assert "problem" not in rows[0]
    write_bytes(champion_url(place), b"{")
    assert "delete it and run skinml models promote" in skinml("--workspace", place, "models", expect=2).stderr


def test_train_says_why_there_is_no_champion_and_score_what_to_do(
    place: str, trained: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    """`trained` was promoted by force, because its floor is out of reach."""
    history = skinml("--workspace", trained, "models", "history").result["promotions"]
    assert [row["decision"] for row in history] == ["kept", "forced"]
    assert history[0]["run_id"].startswith("train-")
    assert "balanced_accuracy floor: not met" in history[0]["reason"]
    make_version(place, tmp_path, "20260101-aaa", 1 / 7)
    answer = skinml("--workspace", place, "score", "--archive", place, expect=2)
    assert answer.stderr.splitlines()[-1].endswith(
        "has no champion yet, because no version has met the floors (there is: 20260101-aaa); train a better"
        " one, or run skinml models promote VERSION --force"
    )
    assert not exists(champion_url(place))


def test_the_verb_loads_neither_prefect_nor_dask_nor_tensorflow(trained: Path) -> None:
    code = (
        "import sys; from flows.cli.main import main;"
        f"assert main(['--workspace', {str(trained)!r}, 'models', 'list']) == 0;"
        f"assert main(['--workspace', {str(trained)!r}, 'models', 'show', 'champion']) == 0;"
        "heavy = {'prefect', 'distributed', 'tensorflow', 'keras', 'sklearn', 'matplotlib'};"
        "print(sorted(heavy & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
