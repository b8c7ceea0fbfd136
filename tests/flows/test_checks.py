"""Refusals before Prefect is loaded: the flow's own words, one line, exit 2, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow

from flows.cli.verbs import REQUESTS, VERBS, call, find, imported
from skinml.errors import RequestError, StorageError
from tests.fresh import Fresh, running

Jpeg = Callable[..., bytes]

HEAVY = {"prefect", "dask", "distributed", "tensorflow", "keras", "onnxruntime"}


@pytest.fixture
def places(trained: Path, tmp_path: Path, jpeg: Jpeg) -> dict[str, str]:
    """What the cases below name in capitals."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "m.csv").write_text("lesion_id,image_id,dx\nl,a,nv\n")
    (tmp_path / "scc.csv").write_text("lesion_id,image_id,dx\nl,a,scc\n")
    (tmp_path / "picture.csv").write_bytes(jpeg())
    (tmp_path / "there.csv").write_text("precious")
    names = {
        **{"IMAGES": "images", "META": "m.csv", "SCC": "scc.csv", "PICTURE": "picture.csv"},
        **{"THERE": "there.csv", "NEW": "new.csv", "NOWHERE": "nowhere", "EMPTY": "empty"},
    }
    return {"TRAINED": str(trained), **{name: str(tmp_path / path) for name, path in names.items()}}


PREPARE = {"images": ["IMAGES"], "metadata": ["META"]}
EVALUATE = {"images": ["IMAGES"], "metadata": ["META"]}
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("prepare", "EMPTY", {**PREPARE, "for": "vgg16"}, "known: efficientnet-lite0"),
    ("prepare", "EMPTY", {**PREPARE, "for": "thesis-cnn", "size": 64}, "--size 64 contradicts"),
    ("prepare", "META", PREPARE, "is a file; give a folder"),
    ("prepare", "EMPTY", {**PREPARE, "metadata": ["NOWHERE"]}, "not found; give a CSV file"),
    ("prepare", "EMPTY", {**PREPARE, "metadata": ["PICTURE"]}, "--metadata "),
    ("prepare", "EMPTY", {**PREPARE, "metadata": ["SCC"]}, "scc"),
    ("prepare", "EMPTY", {**PREPARE, "map": ["scc"]}, "--map 'scc'"),
    ("prepare", "EMPTY", {**PREPARE, "images": ["NOWHERE"]}, "no such folder"),
    ("prepare", "EMPTY", {**PREPARE, "images": ["META"]}, "is a file"),
    ("prepare", "EMPTY", {**PREPARE, "images": ["EMPTY/shards"]}, "keeps its own files"),
    ("prepare", "ftp://host/x", PREPARE, "give a folder, file:///folder or s3://bucket/prefix"),
    ("explore", "TRAINED", {"out": "IMAGES"}, "has other files in it"),
    ("explore", "EMPTY", {}, "nothing has run there yet"),
    ("organize", "EMPTY", {"out": "NEW"}, "nothing has run there yet"),
    ("organize", "TRAINED", {"out": "THERE"}, "is a file; give a folder"),
    ("fetch", "", {"dataset": "ham10000", "out": "NEW"}, "give --accept-licence"),
    ("train", "EMPTY", {}, "no samples yet"),
    ("train", "EMPTY", {"model": "vgg16"}, "known: efficientnet-lite0"),
    ("train", "TRAINED", {"weights": "NOWHERE"}, "is not there; give imagenet, none, or a file"),
    ("train", "TRAINED", {"weights": "imagenet"}, "--weights imagenet: thesis-cnn has no such weights"),
    ("train", "TRAINED", {"model": "linear-probe", "weights": "none"}, "fits its last layer alone"),
    ("train", "TRAINED", {"weights": "THERE", "weights_sha256": "0" * 64}, "of --weights-sha256"),
    ("retrain", "TRAINED", {"model": "vgg16"}, "known: efficientnet-lite0"),
    ("retrain", "EMPTY", {}, "no samples yet"),
    ("search", "EMPTY", {}, "no samples yet"),
    ("mislabelled", "EMPTY", {}, "no samples yet"),
    ("mislabelled", "TRAINED", {"model": "vgg16"}, "known: efficientnet-lite0"),
    ("evaluate", "EMPTY", EVALUATE, "has no champion yet"),
    ("evaluate", "TRAINED", {**EVALUATE, "model": "1999"}, "no such version in"),
    ("evaluate", "TRAINED", {**EVALUATE, "precision": "int8"}, "--precision int8: model "),
    ("evaluate", "TRAINED", {**EVALUATE, "metadata": ["PICTURE"]}, "--metadata "),
    ("evaluate", "EMPTY", {"outcomes": True}, "nothing has run there yet"),
    ("evaluate", "TRAINED", {"outcomes": True}, "has no scores yet"),
    ("evaluate", "TRAINED", {**EVALUATE, "metadata": ["SCC"]}, "scc"),
    ("score", "EMPTY", {"archive": "IMAGES"}, "has no champion yet"),
    ("score", "TRAINED", {"archive": "NOWHERE"}, "no such folder"),
    ("score", "TRAINED", {"archive": "IMAGES", "model": "1999"}, "no such version in"),
    ("score", "TRAINED", {"archive": "IMAGES", "model": "../x"}, "is no version"),
    ("score", "TRAINED", {"archive": "IMAGES", "precision": "int8"}, "--precision int8: model "),
    ("quarantine", "EMPTY", {"action": "list"}, "nothing has run there yet"),
    ("quarantine", "TRAINED", {"action": "list", "run": "x"}, "--run x: no run of"),
    ("quarantine", "EMPTY", {"action": "replay"}, "nothing has run there yet"),
    ("quarantine", "TRAINED", {"action": "replay", "run": "x"}, "--run x: no run of"),
    ("quarantine", "TRAINED", {"action": "replay", "model": "1999"}, "no such version in"),
    ("models", "EMPTY", {"action": "show", "versions": ["1999"]}, "has no model yet"),
    ("models", "TRAINED", {"action": "compare", "versions": ["1999", "champion"]}, "no such version in"),
    ("models", "TRAINED", {"action": "promote", "versions": ["champion"]}, "is champion already"),
    ("models", "EMPTY", {"action": "rollback"}, "has no champion"),
    ("models", "TRAINED", {"action": "verify", "versions": ["1999"]}, "no such version in"),
    ("explain", "EMPTY", {"image_id": "ISIC_1"}, "nothing has run there yet"),
    ("report", "EMPTY", {}, "nothing has run there yet"),
    ("export", "EMPTY", {"run": "x", "out": "NEW"}, "nothing has run there yet"),
    ("export", "TRAINED", {"run": "x", "out": "THERE"}, "exists already"),
    ("export", "TRAINED", {"run": "x", "out": "NEW.xlsx"}, "must end in .csv or .parquet"),
    ("export", "TRAINED", {"run": "x", "out": "NEW"}, "--run x: no run of score or replay"),
    ("export", "TRAINED", {"latest": True, "out": "NEW"}, "--latest: no run of score or replay in"),
    ("export", "TRAINED", {"latest": True, "out": "NEW", "sort": "mel"}, "--sort mel: no such column; did you"),
    ("compact", "EMPTY", {}, "nothing has run there yet"),
    ("compact", "EMPTY", {"dry_run": True}, "nothing has run there yet"),
    ("up", "EMPTY", {}, "nothing has run there yet"),
    ("up", "TRAINED", {"images": ["IMAGES"]}, "belong together"),
    ("up", "TRAINED", {"host": "192.0.2.1"}, "lets other machines in"),
    ("up", "TRAINED", {"archive": "NOWHERE"}, "no such folder"),
    ("drill", "EMPTY", {"place": "folder"}, "has no champion yet"),
    ("drill", "TRAINED", {"out": "THERE"}, "name a new or empty folder"),
    ("synth", "", {"images": 3, "out": "NEW"}, "3"),
    ("demo", "", {"out": "IMAGES"}, "is not empty"),
]
"""Verb, workspace, what is asked, and what is said."""


def filled_in(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, path in places.items():
            value = value.replace(name, path)
        return value
    return [filled_in(part, places) for part in value] if isinstance(value, list) else value


def arguments_of(verb: str, workspace: str, asked: dict[str, Any]) -> list[str]:
    arguments = ["--workspace", workspace] if workspace else []
    arguments += [verb, *([asked["action"]] if "action" in asked else [])]
    for name, value in asked.items():
        flag = f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            arguments += [] if name == "action" else [flag] if one is True else [flag, str(one)]
    return arguments


@pytest.mark.parametrize(("verb", "workspace", "asked", "words"), CASES)
def test_the_flow_refuses_in_the_same_words(
    verb: str, workspace: str, asked: dict[str, Any], words: str, places: dict[str, str]
) -> None:
    workspace = filled_in(workspace, places)
    request = REQUESTS[verb].model_validate({name: filled_in(value, places) for name, value in asked.items()})
    row = find(verb, request)
    parameters: dict[str, Any] = {"request": request, **({"workspace": workspace} if workspace else {})}
    entry = imported(row.entry)
    said = []
    for function in [imported(row.check)] if row.check else []:
        with pytest.raises(RequestError, match=r".") as refusal:
            function(**parameters)
        said.append(str(refusal.value))
    with pytest.raises(RequestError, match=r".") as refusal:
        (entry.fn if isinstance(entry, Flow) else entry)(**parameters)
    said.append(str(refusal.value))
    assert len({*said}) == 1
    assert words in said[0]


CLUSTERED: list[tuple[str, dict[str, Any]]] = [
    ("prepare", PREPARE),
    ("train", {}),
    ("retrain", {}),
    ("search", {}),
    ("mislabelled", {}),
    ("evaluate", EVALUATE),
    ("score", {"archive": "IMAGES"}),
    ("quarantine", {"action": "replay"}),
    ("report", {}),
]


@pytest.mark.parametrize(("verb", "asked"), CLUSTERED)
def test_a_wrong_cluster_is_refused_before_anything_begins(
    verb: str, asked: dict[str, Any], places: dict[str, str]
) -> None:
    """By the check alone: a run that reads no image starts no cluster, and does not mind."""
    given = {name: filled_in(value, places) for name, value in asked.items()}
    request = REQUESTS[verb].model_validate({**given, "cluster": f"slurm:{places['NOWHERE']}"})
    check = find(verb, request).check
    assert check is not None
    with pytest.raises(RequestError, match="nowhere"):
        imported(check)(places["TRAINED"], request)


def test_every_verb_that_takes_a_cluster_is_among_these() -> None:
    taking = {verb for verb, request in REQUESTS.items() if "cluster" in request.model_fields}
    assert taking - {"doctor"} == {verb for verb, _ in CLUSTERED}  # doctor reports what is wrong with it


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """A process that has loaded the command line alone."""
    with running(tmp_path_factory.mktemp("fresh")) as process:
        yield process


# One case a verb and action that is refused furthest down its check.
LAST = {(verb, asked.get("action")): (verb, workspace, asked) for verb, workspace, asked, _ in CASES}


@pytest.mark.parametrize(("verb", "workspace", "asked"), LAST.values(), ids=str)
def test_a_refusal_loads_no_prefect_says_one_line_and_writes_nothing(
    verb: str, workspace: str, asked: dict[str, Any], places: dict[str, str], tmp_path: Path, fresh: Fresh
) -> None:
    asked = {name: filled_in(value, places) for name, value in asked.items()}
    before = sorted(tmp_path.rglob("*")), sorted(Path(places["TRAINED"]).rglob("*"))
    done = fresh.run(["--json", *arguments_of(verb, filled_in(workspace, places), asked)])

    [answer] = done.stdout.splitlines()
    error = json.loads(answer)["error"]
    assert (done.code, done.stderr.splitlines()) == (2, [f"skinml: {error}"])
    assert not error.startswith("skinml: ")
    modules = {name.partition(".")[0] for name in done.modules}
    heavy = HEAVY | {"pandas"} if verb not in ("prepare", "evaluate", "quarantine", "export") else HEAVY
    assert not modules & heavy, "so that it is said within a second"
    assert (sorted(tmp_path.rglob("*")), sorted(Path(places["TRAINED"]).rglob("*"))) == before


def test_every_verb_has_a_refusal_here_and_every_flow_a_check() -> None:
    # Nothing but the request can be wrong: it reads nothing, or lists what is there.
    only_by_its_request = {("completion", None), ("models", "list"), ("models", "history")}
    only_by_its_request |= {("status", None), ("doctor", None)}  # what is wrong is what they report
    assert {*LAST} == {(verb.name, verb.action) for verb in VERBS} - only_by_its_request
    assert all(verb.check for verb in VERBS if verb.as_flow)


def test_metadata_that_is_missing_is_refused_without_pandas(places: dict[str, str], fresh: Fresh) -> None:
    asked = ["prepare", "--images", places["IMAGES"], "--metadata", places["NOWHERE"]]
    done = fresh.run(["--workspace", places["EMPTY"], *asked])
    assert (done.code, "pandas" in done.modules) == (2, False)


def test_a_large_table_is_not_parsed_just_to_check_it(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import checks

    monkeypatch.setattr("skinml.dataset.metadata_file.SMALL_BYTES", 10)
    monkeypatch.setattr("skinml.dataset.metadata.read_metadata", None)
    request = REQUESTS["prepare"].model_validate({"images": places["IMAGES"], "metadata": places["SCC"]})
    checks.prepare(places["EMPTY"], request)  # type: ignore[arg-type]


def test_other_errors_are_left_to_the_flow(places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that fails is tried again by the flow's stages, and the run leaves a row."""

    def fail(workspace: str) -> str:
        raise StorageError("away for a moment")

    monkeypatch.setattr("skinml.layout.check_workspace", fail)
    monkeypatch.setattr("flows.engine.run", lambda *_, **__: {"ran": True})
    request = REQUESTS["score"].model_validate({"archive": places["IMAGES"]})
    assert call(find("score", request), places["TRAINED"], request) == {"ran": True}
