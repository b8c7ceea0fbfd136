"""The command line: what is refused and how, what is printed where, and what it does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.settings import load
from flows.cli.verbs import Verb
from skinml.requests.base import Request
from skinml.requests.scoring import ScoreRequest
from tests.command import CommandLine

Jpeg = Callable[..., bytes]


def fresh_python(code: str) -> str:
    """What a new interpreter prints: for what is loaded at start-up."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


LOADED = "import sys; print(sorted({name.partition('.')[0] for name in sys.modules}))"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import flows.cli.main; flows.cli.main.main(['--version'])",
            {"prefect", "dask", "distributed", "tensorflow", "pandas"},
        ),
        (
            "import flows.cli.main; flows.cli.main.main(['--help'])",
            {"prefect", "dask", "distributed", "tensorflow", "pandas"},
        ),
        (  # every verb but those of the server itself, and all that its flow imports
            "import flows.engine; from flows.cli.verbs import VERBS, imported;"
            "[imported(verb.entry) for verb in VERBS if verb.entry[:5] == 'flows' and verb.name != 'demo']",
            {"tensorflow", "keras", "torch", "jax", "prefect", "dask", "distributed", "rich", "matplotlib"},
        ),
        (
            "import skinml.scoring.predict, skinml.dataset.write_shard",
            {"tensorflow", "keras", "prefect", "sklearn"},
        ),
    ],
)
def test_what_is_not_loaded(code: str, absent: set[str]) -> None:
    run = f"try:\n    {code}\nexcept SystemExit:\n    pass\n{LOADED}"
    assert not absent & set(json.loads(fresh_python(run).splitlines()[-1].replace("'", '"')))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare", "--images", "IMAGES", "--metadata", "META", "--size", "0"], "--size '0'"),
        (["prepare", "--images", "IMAGES", "--metadata", "META", "--size", "100000"], "--size '100000'"),
        (["prepare", "--images", "IMAGES", "--metadata", "META", "--size", "big"], "--size 'big'"),
        (["prepare", "--images", "IMAGES", "--metadata", "META", "--decode", "slow"], "--decode 'slow'"),
        (["prepare", "--images", "IMAGES"], "--metadata is needed"),
        (
            ["prepare", "--images", "IMAGES", "--metadata", "META", "--for", "vgg16"],
            "no architecture is called 'vgg16'; known: ",
        ),
        (
            ["prepare", "--images", "IMAGES", "--metadata", "META", "--for", "thesis-cnn", "--size", "64"],
            "--size 64 contradicts --for thesis-cnn, which reads 32 px",
        ),
        (["prepare", "--images", "IMAGES", "--metadata", "META", "--map", "scc"], "--map 'scc'"),
        (["prepare", "--images", "IMAGES", "--metadata", "nowhere.csv"], "nowhere.csv"),
        (["prepare", "--images", "nowhere", "--metadata", "META"], "nowhere: no such folder"),
        (["prepare", "--images", "META", "--metadata", "META"], "is a file"),
        (["prepare", "--images", "ftp://host/x", "--metadata", "META"], "ftp://host/x"),
        (["prepare", "--images", "ftp://reader:sesame@host/x", "--metadata", "META"], "ftp://***@host/x"),
        (["score", "--archive", "IMAGES"], "has no champion yet"),
        (["train", "--epochs", "-1"], "--epochs '-1'"),
        (["train", "--protocol", "wishful"], "--protocol 'wishful'"),
        (["synth", "--images", "3", "--out", "OUT"], "3"),
        (["synth", "--images", "10", "--out", "OUT", "--corrupt", "1.5"], "--corrupt '1.5'"),
        (["dance"], "dance"),
        (["score", "--archve", "IMAGES"], "score has no '--archve'; did you mean --archive? see skinml score"),
        (["score", "--archiv", "IMAGES"], "score has no '--archiv'; did you mean --archive? see skinml score"),
        (["score", "--archive", "IMAGES", "more"], "score has no 'more'; see skinml score --help"),
        (["quarantine"], "ws: nothing has run there yet"),
        (["quarantine", "burn"], "quarantine: action 'burn': input should be 'list' or 'replay'"),
        (["quarantine", "--reason", "ugly"], "--reason 'ugly'"),
        (["quarantine", "replay"], "ws: nothing has run there yet"),
        (["export", "--run", "x"], "--out is needed"),
        (["export", "--out", "OUT.csv"], "export: give either --run RUN_ID or --latest"),
        (["export", "--latest", "--run", "x", "--out", "OUT.csv"], "give either --run RUN_ID or --latest"),
        (
            ["export", "--latest", "--top", "0", "--out", "OUT.csv"],
            "--top '0': input should be greater",
        ),
        (["export", "--run", "x", "--out", "OUT.csv"], "ws: nothing has run there yet"),
        (["compact"], "ws: nothing has run there yet"),
        (["compact", "--retention-hours", "167"], "--retention-hours '167'"),
        (["score", "--archive", "IMAGES", "--cluster", "tcp://127.0.0.1:1"], "has no champion yet"),
    ],
)
def test_a_wrong_request_gets_one_line_exit_2_and_writes_nothing(
    arguments: list[str], words: str, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "m.csv").write_text("lesion_id,image_id,dx\nl,a,nv\n")
    places = {"IMAGES": tmp_path / "images", "META": tmp_path / "m.csv", "OUT": tmp_path / "out"}
    before = sorted(tmp_path.rglob("*"))
    answer = skinml("--workspace", tmp_path / "ws", *(places.get(part, part) for part in arguments), expect=2)
    lines = [line for line in answer.stderr.splitlines() if line.startswith("skinml: ")]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in answer.stderr
    assert json.loads(answer.stdout) == {"error": lines[0].removeprefix("skinml: "), "exit_code": 2}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path, jpeg: Jpeg, skinml: CommandLine) -> None:
    (tmp_path / "file").write_text("precious")
    answer = skinml("--workspace", tmp_path / "file", "score", "--archive", tmp_path, expect=2)
    assert f"workspace {tmp_path / 'file'}: is a file" in answer.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_a_bucket_that_refuses_the_key_is_refused(
    bucket: str, trained: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = skinml("--workspace", trained, "score", "--archive", "s3://no-such-bucket/x", expect=2)
    assert "s3://no-such-bucket/x: no such bucket" in missing.stderr
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    from skinml.storage import connection

    connection.bucket.cache_clear()
    for arguments in (
        ["--workspace", str(trained), "score", "--archive", f"{bucket}/archive"],
        ["--workspace", f"{bucket}/workspace", "score", "--archive", str(trained)],
    ):
        answer = skinml(*arguments, expect=2)
        assert f"{bucket}/" in answer.stderr
        assert "AWS_SECRET_ACCESS_KEY" in answer.stderr
        assert "wrong" not in answer.stderr  # a secret is never printed


def test_no_workspace_is_refused_and_the_environment_gives_one(
    tmp_path: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--workspace" in skinml("score", "--archive", tmp_path, expect=2).stderr
    monkeypatch.setenv("SKINML_WORKSPACE", str(tmp_path / "ws"))
    assert "has no champion yet" in skinml("score", "--archive", tmp_path, expect=2).stderr


def test_file_environment_flags_each_win_over_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    file = {"workers": 3, "score": {"archive": "from file", "model": "m1"}}
    assert load(ScoreRequest, "score", {}, file) == ScoreRequest(archive="from file", model="m1", workers=3)
    monkeypatch.setenv("SKINML_WORKERS", "4")
    monkeypatch.setenv("SKINML_SCORE_ARCHIVE", "from environment")
    from_environment = load(ScoreRequest, "score", {}, file)
    assert (from_environment.archive, from_environment.workers) == ("from environment", 4)
    assert load(ScoreRequest, "score", {"archive": "flag"}, file).archive == "flag"


def test_a_flag_switches_off_what_the_file_or_the_environment_has_switched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def call(verb: Verb, workspace: str, request: Request) -> dict[str, Any]:
        asked.append(request)
        return {}

    monkeypatch.setattr("flows.cli.main.call", call)
    monkeypatch.setattr("flows.cli.main.summary", lambda *_: "")  # of no result
    monkeypatch.setenv("SKINML_QUARANTINE_IMAGES", "true")
    (tmp_path / "skinml.toml").write_text("workspace = 'w'\n[score]\nrecheck = true\narchive = 'a'\n")
    config = ["--config", str(tmp_path / "skinml.toml")]
    for arguments in (["score"], ["score", "--no-recheck"], ["quarantine"], ["quarantine", "--no-images"]):
        assert main([*config, *arguments]) == 0
    assert [(request.model_dump().get("recheck"), request.model_dump().get("images")) for request in asked] == [
        (True, None),
        (False, None),
        (None, True),
        (None, False),
    ]


def test_help_shows_how_a_flag_is_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    assert "--recheck, --no-recheck" in capsys.readouterr().out


def test_a_variable_that_nobody_reads_is_refused_by_every_verb(
    tmp_path: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKINML_ARCHVE", "a")
    said = "skinml: SKINML_ARCHVE: skinml has no such variable; did you mean SKINML_ARCHIVE?"
    for arguments in (["score", "--archive", "a"], ["synth", "--images", "7", "--out", tmp_path / "x"]):
        assert skinml(*arguments, expect=2).stderr.splitlines() == [said]
    assert not list(tmp_path.iterdir())


def test_people_read_stderr_and_programs_the_last_line_of_stdout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "skinml", "synth", "--images", "7", "--json", "--out"]
    done = subprocess.run([*command, str(tmp_path / "a")], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["images"] == 7
    plain = subprocess.run(
        [*(part for part in command if part != "--json"), str(tmp_path / "b")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "images    7" in plain.stdout
    assert len(list((tmp_path / "b").iterdir())) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
@pytest.mark.parametrize("flags", [["--json"], []])
def test_a_result_that_nobody_takes_is_one_line_and_exit_1(flags: list[str], tmp_path: Path) -> None:
    verb = ["synth", "--images", "10", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-P", "-m", "skinml", *flags, *verb]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "skinml: done, but the result could not be written to stdout: No space left on device"
    assert (done.returncode, done.stderr.splitlines()) == (1, [said])


def test_a_run_that_fails_is_recorded_and_exits_1(
    trained: Path, tmp_path: Path, jpeg: Jpeg, skinml: CommandLine
) -> None:
    """The scores folder holds something that is no table: the night fails, and says so in runs."""
    import shutil

    from skinml import tables

    workspace = Path(shutil.copytree(trained, tmp_path / "workspace"))
    (workspace / "scores" / "_delta_log").mkdir(parents=True)
    (workspace / "scores" / "_delta_log" / f"{0:020}.json").write_text("not a commit")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.jpg").write_bytes(jpeg())
    answer = skinml("--workspace", workspace, "score", "--archive", tmp_path / "archive", expect=1)
    assert str(workspace / "scores") in answer.stderr.splitlines()[-1]
    run = tables.read(str(workspace), "runs").to_pandas().set_index("flow").loc["score"]
    assert run["status"] == "failed"
    assert "scores" in run["error"]


def test_a_prefect_address_that_cannot_be_parsed_stops_no_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skinml: CommandLine
) -> None:
    """Prefect's own import refuses it, with a page of text."""
    monkeypatch.setenv("PREFECT_API_URL", "http://[::1/api")
    answer = skinml("--workspace", tmp_path, "export", "--run", "x", "--out", tmp_path / "x.csv", expect=2)
    assert "running without Prefect: PREFECT_API_URL http://[::1/api: Invalid IPv6 URL" in answer.stderr
