"""Tests of the verb status: what it prints, how it exits, whom it tells, and what it loads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import CommandLine
from tests.services.receivers import mail_server, webhook
from tests.unit.checkup.test_status import add_night


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKINML_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_healthy_workspace_exits_0_and_loads_no_orchestrator(night: Path, skinml: CommandLine) -> None:
    result = skinml("--workspace", night, "status").result
    assert (result["healthy"], result["problems"]) == (True, [])
    assert result["last_completed"] is not None
    code = (
        "import sys; from flows.cli.main import main; code = main(sys.argv[1:]);"
        "heavy = [name for name in ('prefect', 'dask', 'distributed', 'tensorflow', 'keras', 'httpx')"
        " if name in sys.modules]; print(heavy); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "--workspace", str(night), "status"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_problem_exits_1_with_its_reason(trained: Path, skinml: CommandLine) -> None:
    answer = skinml("--workspace", trained, "status", expect=1)
    result = json.loads(answer.stdout.splitlines()[-1])
    assert (result["healthy"], result["kinds"], result["last_completed"]) == (False, ["never"], None)
    assert len(result["problems"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-age", "26"], "--max-age '26': is not a duration"),
        (["--max-age=-2h"], "is not a duration"),
        (["--max-run", "soon"], "is not a duration"),
        (["--notify", "clinic.test"], "--notify is not an address"),
        (["--notify", "smtp://host/?from=a@b"], "needs one sender and a receiver"),
        (["--notify-when", "never"], "--notify-when 'never'"),
    ],
)
def test_a_wrong_request_is_refused(
    night: Path, skinml: CommandLine, arguments: list[str], words: str, home: Path
) -> None:
    answer = skinml("--workspace", night, "status", *arguments, expect=2)
    assert words in answer.stderr
    assert not home.exists()


def test_a_workspace_that_never_was_is_a_wrong_request(skinml: CommandLine, tmp_path: Path) -> None:
    answer = skinml("--workspace", tmp_path / "nothing", "status", expect=2)
    assert "nothing has run there yet" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_somebody_is_told_of_problems_each_time_and_once_when_it_is_healthy_again(
    night: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as received:
        monkeypatch.setenv("SKINML_NOTIFY", received.url)
        watch = ("--workspace", night, "status", "--archive", "/archive")
        skinml(*watch, expect=1)
        skinml(*watch, expect=1)
        assert [sent["healthy"] for sent in received.objects()] == [False, False]
        add_night(str(night))
        skinml(*watch)
        skinml(*watch)
        assert [sent["healthy"] for sent in received.objects()] == [False, False, True]
        skinml(*watch, "--notify-when", "always")
        skinml(*watch, "--notify-when", "change")
    assert len(received.messages) == 4
    for sent in received.messages:  # neither where nor what
        assert str(night.parent) not in sent
        assert "score-" not in sent
        assert "ISIC" not in sent


def test_a_receiver_that_fails_is_said_and_it_is_told_next_time(night: Path, skinml: CommandLine) -> None:
    with webhook(500) as received:
        told = ("--notify", received.url, "--notify-when", "always")
        answer = skinml("--workspace", night, "status", *told, expect=1)
    assert json.loads(answer.stdout.splitlines()[-1])["healthy"] is True
    assert "nobody was told" in answer.stdout
    assert "a-secret-token" not in answer.stdout + answer.stderr


def test_mail_is_sent_too(trained: Path, skinml: CommandLine) -> None:
    with mail_server() as received:
        skinml("--workspace", trained, "status", "--notify", received.url, expect=1)
    assert len(received.about("nothing has been scored yet")) == 1


def test_a_workspace_that_is_gone_is_told_if_it_was_there(night: Path, skinml: CommandLine) -> None:
    with webhook() as received:
        skinml("--workspace", night, "status", "--notify", received.url)
        shutil.rmtree(night)
        answer = skinml("--workspace", night, "status", "--notify", received.url, expect=1)
    assert "is not there any more" in answer.stdout
    assert [sent["problems"][0]["kind"] for sent in received.objects()] == ["missing"]
