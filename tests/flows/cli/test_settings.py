"""Tests of flows/cli/settings.py: where values come from, which wins, and how the others are refused."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from flows.cli.settings import choose_workspace, load, read_file
from flows.cli.variables import WORKSPACE, check_variables, shared_names, variables_of
from flows.cli.verbs import REQUESTS
from skinml.errors import RequestError
from skinml.process.switches import SWITCHES
from skinml.requests.base import asked_as, is_shared
from skinml.requests.dataset import PrepareRequest
from skinml.requests.lab import DemoRequest, DrillRequest, SynthRequest
from skinml.requests.scoring import QuarantineRequest, ScoreRequest
from skinml.requests.training import TrainRequest
from tests.conftest import REPOSITORY

GIVEN: dict[str, Any] = {"images": ["a", "b"], "metadata": "m.csv"}


def refusal_of(action: Any, *arguments: Any) -> str:
    with pytest.raises(RequestError) as refusal:
        action(*arguments)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def file_of(tmp_path: Path, text: str) -> dict[str, Any]:
    path = tmp_path / "skinml.toml"
    path.write_text(text, encoding="utf-8")
    return read_file(path)


# Which source wins


def test_defaults_are_those_of_the_contract() -> None:
    request = load(PrepareRequest, "prepare", GIVEN, {})
    assert request == PrepareRequest(
        images=("a", "b"),
        metadata=("m.csv",),
        for_model=None,
        size=None,
        decode="fast",
        format="npy",
        map=(),
        drop=(),
        max_quarantined=0.2,
        cluster=None,
        workers=None,
    )
    assert load(ScoreRequest, "score", {"archive": "x"}, {}).model == "champion"
    assert load(TrainRequest, "train", {}, {}).protocol == "grouped"


def test_flag_beats_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(tmp_path, "workers = 1\n[prepare]\nsize = 16\ndecode = 'exact'\nformat = 'parquet'\n")
    assert load(PrepareRequest, "prepare", GIVEN, file).size == 16
    monkeypatch.setenv("SKINML_PREPARE_SIZE", "32")
    monkeypatch.setenv("SKINML_PREPARE_DECODE", "fast")
    assert load(PrepareRequest, "prepare", GIVEN, file).size == 32
    request = load(PrepareRequest, "prepare", {**GIVEN, "size": 128}, file)
    assert (request.size, request.decode, request.format, request.workers) == (128, "fast", "parquet", 1)


def test_the_verbs_own_value_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(tmp_path, "workers = 1\ncluster = 'tcp://all:1'\n[score]\nworkers = 2\n")
    request = load(ScoreRequest, "score", {"archive": "x"}, file)
    assert (request.workers, request.cluster) == (2, "tcp://all:1")
    assert load(PrepareRequest, "prepare", GIVEN, file).workers == 1

    monkeypatch.setenv("SKINML_SCORE_WORKERS", "4")
    monkeypatch.setenv("SKINML_WORKERS", "3")
    assert load(ScoreRequest, "score", {"archive": "x"}, file).workers == 4
    assert load(PrepareRequest, "prepare", GIVEN, file).workers == 3


def test_how_long_workers_are_waited_for_can_be_set_for_all_verbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(ScoreRequest, "score", {"archive": "x"}, {}).cluster_wait == 60
    file = file_of(tmp_path, "cluster_wait = 5\n[score]\ncluster_wait = 7.5\n")
    assert load(PrepareRequest, "prepare", GIVEN, file).cluster_wait == 5
    assert load(ScoreRequest, "score", {"archive": "x"}, file).cluster_wait == 7.5
    monkeypatch.setenv("SKINML_CLUSTER_WAIT", "9")
    assert load(TrainRequest, "train", {}, {}).cluster_wait == 9


def test_a_variable_that_is_empty_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINML_PREPARE_SIZE", "")
    assert load(PrepareRequest, "prepare", GIVEN, {}).size is None


@pytest.mark.parametrize("images", ["one,two", "one, two ", " one,two"])
def test_a_variable_gives_a_list_with_commas(images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINML_PREPARE_IMAGES", images)
    monkeypatch.setenv("SKINML_PREPARE_METADATA", "m.csv")
    assert load(PrepareRequest, "prepare", {}, {}).images == ("one", "two")


def test_a_flag_may_hold_a_comma() -> None:
    assert load(PrepareRequest, "prepare", {**GIVEN, "images": ["a,b"]}, {}).images == ("a,b",)


def test_a_name_that_python_keeps_to_itself_is_given_as_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--for, which is `for` in the file and SKINML_PREPARE_FOR."""
    assert load(PrepareRequest, "prepare", {**GIVEN, "for": "a"}, {}).for_model == "a"
    file = file_of(tmp_path, "[prepare]\nfor = 'b'\n")
    assert load(PrepareRequest, "prepare", GIVEN, file).for_model == "b"
    monkeypatch.setenv("SKINML_PREPARE_FOR", "c")
    assert load(PrepareRequest, "prepare", GIVEN, file).for_model == "c"
    asked = load(PrepareRequest, "prepare", GIVEN, file)
    assert PrepareRequest.model_validate(asked.model_dump()) == asked


@pytest.mark.parametrize(("given", "fraction"), [("20%", 0.2), ("0.35", 0.35), ("100%", 1.0), (0, 0.0)])
def test_a_fraction_may_be_a_percentage(given: Any, fraction: float) -> None:
    prepare = load(PrepareRequest, "prepare", {**GIVEN, "max_quarantined": given}, {})
    score = load(ScoreRequest, "score", {"archive": "x", "max_quarantined": given}, {})
    assert prepare.max_quarantined == score.max_quarantined == fraction


def test_a_request_does_not_change() -> None:
    request = load(PrepareRequest, "prepare", GIVEN, {})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(request, "size", 32)  # noqa: B010 - a type checker sees the plain assignment


def test_the_workspace_is_chosen_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_workspace(None, {"workspace": "file"}) == "file"
    monkeypatch.setenv("SKINML_WORKSPACE", "environment")
    assert choose_workspace(None, {"workspace": "file"}) == "environment"
    assert choose_workspace("flag", {"workspace": "file"}) == "flag"


# Refusals


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"size": "0"}, "prepare: --size '0': input should be greater than or equal to 8"),
        ({"size": "100000"}, "prepare: --size '100000': input should be less than or equal to 1024"),
        ({"size": "big"}, "prepare: --size 'big': input should be a valid integer"),
        ({"size": "64.5"}, "prepare: --size '64.5': input should be a valid integer"),
        ({"decode": "slow"}, "prepare: --decode 'slow': input should be 'fast' or 'exact'"),
        ({"format": "zarr"}, "prepare: --format 'zarr': input should be 'npy' or 'parquet'"),
        ({"workers": "0"}, "prepare: --workers '0': input should be greater than or equal to 1"),
        ({"images": []}, "prepare: --images []: "),
        ({"metadata": []}, "prepare: --metadata []: "),
        (
            {"max_quarantined": "120%"},
            "prepare: --max-quarantined '120%': input should be less than or equal to 1",
        ),
        ({"max_quarantined": "few"}, "prepare: --max-quarantined 'few': input should be a valid number"),
    ],
)
def test_a_wrong_value_is_named_with_its_flag(flags: dict[str, Any], words: str) -> None:
    assert refusal_of(load, PrepareRequest, "prepare", {**GIVEN, **flags}, {}).startswith(words)


def test_a_missing_flag_is_named() -> None:
    assert refusal_of(load, ScoreRequest, "score", {}, {}) == "score: --archive is needed"
    assert refusal_of(load, PrepareRequest, "prepare", {"images": ["a"]}, {}) == "prepare: --metadata is needed"


def test_flags_are_named_as_they_are_typed() -> None:
    refusal = refusal_of(load, TrainRequest, "train", {"batch_size": "0"}, {})
    assert refusal.startswith("train: --batch-size '0': ")


def test_a_fraction_is_a_fraction() -> None:
    refusal = refusal_of(load, SynthRequest, "synth", {"images": 1, "out": "x", "corrupt": "1.5"}, {})
    assert refusal.startswith("synth: --corrupt '1.5': ")


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINML_PREPARE_SIZE", "huge")
    assert refusal_of(load, PrepareRequest, "prepare", GIVEN, {}).startswith("prepare: --size 'huge': ")


def test_an_unknown_key_of_the_file_is_named(tmp_path: Path) -> None:
    file = file_of(tmp_path, "[prepare]\nsise = 64\n")
    assert (
        refusal_of(load, PrepareRequest, "prepare", GIVEN, file)
        == "prepare: sise is not something prepare knows"
    )


def test_a_value_in_a_tables_place_is_named(tmp_path: Path) -> None:
    file = file_of(tmp_path, "prepare = 64\n")
    refusal = refusal_of(load, PrepareRequest, "prepare", GIVEN, file)
    assert refusal == "config: prepare = 64 should be a table, [prepare]"


def test_without_a_workspace_it_says_how_to_give_one() -> None:
    refusal = refusal_of(choose_workspace, None, {})
    assert refusal.startswith("no workspace: give --workspace URL")
    assert refusal_of(choose_workspace, "", {"workspace": ""}) == refusal


def test_without_a_file_nothing_is_configured() -> None:
    assert read_file(None) == {}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.toml"
    assert refusal_of(read_file, missing) == f"--config {missing}: No such file or directory; name a TOML file"
    assert refusal_of(read_file, tmp_path).startswith(f"--config {tmp_path}: Is a directory")


@pytest.mark.parametrize("text", [b"size = ", b"[prepare\nsize = 1", b"\xff\xfe\x00", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_named(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    assert refusal_of(read_file, path).startswith(f"--config {path}: not TOML: ")


@pytest.mark.parametrize(
    ("text", "name"),
    [("workspce = 'here'", "workspce"), ("[scroe]\narchive = 'a'", "scroe"), ("model = 'm'", "model")],
)
def test_a_name_at_the_top_of_the_file_that_nobody_reads_is_refused(
    text: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "skinml.toml").write_text(text)
    with pytest.raises(RequestError, match=f"'{name}' is none of workspace, "):
        read_file(tmp_path / "skinml.toml")


def test_a_variable_for_all_verbs_is_for_what_all_verbs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINML_MODEL", "an architecture, or a version?")
    monkeypatch.setenv("SKINML_WORKERS", "3")
    request = load(ScoreRequest, "score", {"archive": "a"}, {})
    assert (request.model, request.workers) == ("champion", 3)


@pytest.mark.parametrize("verb", REQUESTS)
@pytest.mark.parametrize("seed", range(20))
def test_every_field_is_merged_as_a_plain_loop_would(
    verb: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten lines that anybody can check, against what pydantic-settings makes of the sources."""
    draw = random.Random(f"{verb} {seed}")  # noqa: S311 - no secret
    asked: dict[str, Any] = {}

    class Recorder:
        model_fields = REQUESTS[verb].model_fields

        @staticmethod
        def model_validate(values: dict[str, Any]) -> None:
            asked.update(values)

    flags: dict[str, Any] = {}
    file: dict[str, Any] = {verb: {}}
    expected: dict[str, Any] = {}
    for name, field in REQUESTS[verb].model_fields.items():
        spelt = asked_as(name, field)
        sources: list[tuple[bool, Any]] = [  # the last one that is drawn wins
            (is_shared(field), lambda value, key=spelt: file.update({key: value})),
            (True, lambda value, key=spelt: file[verb].update({key: value})),
            (is_shared(field), lambda value, key=spelt: monkeypatch.setenv(f"SKINML_{key.upper()}", value)),
            (
                True,
                lambda value, key=spelt: monkeypatch.setenv(f"SKINML_{verb.upper()}_{key.upper()}", value),
            ),
            (True, lambda value, key=spelt: flags.update({key: value})),
        ]
        for number, (possible, give) in enumerate(sources):
            if possible and draw.random() < 0.4:
                give(f"{spelt} {number}")
                expected[spelt] = f"{spelt} {number}"
    load(cast(Any, Recorder), verb, flags, file)
    assert asked == expected


# Variables


def test_a_variable_serves_every_verb_whose_field_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKINML_ARCHIVE", "s3://bucket/archive")
    monkeypatch.setenv("SKINML_IMAGES", "part_1,part_2")
    monkeypatch.setenv("SKINML_METADATA", "m.csv")
    monkeypatch.setenv("SKINML_MAX_QUARANTINED", "10%")
    check_variables(os.environ)
    assert load(ScoreRequest, "score", {}, {}).archive == "s3://bucket/archive"
    prepare = load(PrepareRequest, "prepare", {}, {})
    assert (prepare.images, prepare.metadata) == (("part_1", "part_2"), ("m.csv",))
    assert prepare.max_quarantined == load(ScoreRequest, "score", {}, {}).max_quarantined == 0.1
    monkeypatch.setenv("SKINML_SCORE_ARCHIVE", "mine")
    assert load(ScoreRequest, "score", {}, {}).archive == "mine"


def test_a_shared_value_breaks_no_verb_whose_field_means_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`images` are folders in prepare, a number in synth, demo and drill, a switch in quarantine."""
    file = {"images": ["part_1"], "archive": "a"}
    monkeypatch.setenv("SKINML_IMAGES", "part_1,part_2")
    assert load(SynthRequest, "synth", {"images": 9, "out": "x"}, file).images == 9
    assert load(DemoRequest, "demo", {}, file).images == 600
    assert load(DrillRequest, "drill", {}, file).images == 300
    assert load(QuarantineRequest, "quarantine", {}, file).images is False


def test_shared_fields_are_few_and_known() -> None:
    """A new one changes what variables and files that are there already mean."""
    assert shared_names() == (
        *("cluster", "workers", "cluster_wait", "min_new", "images", "metadata", "max_quarantined"),
        *("data_source", "data_licence", "intended_use", "ethics", "contact"),
        *("floor_balanced_accuracy", "floor_macro_auc", "floor_melanoma_sensitivity"),
        *("train_on", "worker_wait", "train_fallback", "approve", "precision", "archive", "images_in_ui"),
        "notify",
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SKINML_ARCHVE", "did you mean SKINML_ARCHIVE?"),
        ("SKINML_WORKSPCE", "did you mean SKINML_WORKSPACE?"),
        ("SKINML_SCORE_ARCHIV", "did you mean SKINML_SCORE_ARCHIVE?"),
        ("SKINML_MODEL", "it is set for one verb: SKINML_TRAIN_MODEL or SKINML_RETRAIN_MODEL or "),
        ("SKINML_CRASH_ATT", ""),
        ("SKINML_QUITE_ANOTHER_THING", "unset it"),
        ("SKINML_score_archive", "did you mean SKINML_SCORE_ARCHIVE?"),
    ],
)
def test_a_variable_that_nobody_reads_is_refused(name: str, advice: str) -> None:
    refusal = refusal_of(check_variables, {"SKINML_WORKERS": "3", name: "x"})
    assert refusal.startswith(f"{name}: skinml has no such variable; {advice}")
    assert "CRASH_AT?" not in refusal, "our own switches are advised to nobody"


def test_an_empty_variable_and_our_own_switches_are_not_refused() -> None:
    check_variables({"SKINML_NONSENSE": "", "SKINML_CRASH_AT": "6:file", "HOME": "x", "MYSKINML_X": "y"})


def test_every_variable_that_the_repository_names_is_known_or_declared() -> None:
    known = {WORKSPACE, *SWITCHES}
    for verb, model in REQUESTS.items():
        known.update(name for names in variables_of(verb, model).values() for name in names)
    for folder in ("skinml", "tasks", "flows", "deployments", "docs", "benchmarks"):
        for path in (REPOSITORY / folder).rglob("*.*"):
            if path.suffix in {".py", ".md", ".yaml", ".toml", ".service"}:
                named = set(re.findall(r"\bSKINML_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
                assert named <= known, path
    for name in ("README.md", "Makefile", "pyproject.toml", "CHANGELOG.md"):
        named = set(re.findall(r"\bSKINML_[A-Z_]*[A-Z]\b", (REPOSITORY / name).read_text(encoding="utf-8")))
        assert named <= known, name
    assert not (REPOSITORY / "skinml" / "process" / "crash_points.py").read_text().count('"SKINML_')
