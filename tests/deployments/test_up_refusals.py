"""What `skinml up` refuses: one line, exit code 2, and nothing is written or started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deployments import PREFECT_FILE
from deployments.up.processes import below
from tests.command import CommandLine


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def refusal(skinml: CommandLine, *arguments: object) -> str:
    """The one line with which `up` refuses."""
    lines = skinml(*arguments, expect=2).stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def other_pool(tmp_path: Path) -> Path:
    changed = tmp_path / "mine.yaml"
    changed.write_text(
        PREFECT_FILE.read_text(encoding="utf-8").replace("name: skinml\n    job", "name: cpu\n    job")
    )
    return changed


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--nightly", "every night"], "--nightly 'every night'"),
        (["--nightly", "61 2 * * *"], "--nightly '61 2 * * *'"),
        (["--timezone", "Europe/Wien"], "--timezone 'Europe/Wien': no such time zone"),
        (["--timezone", "../../etc/passwd"], "no such time zone"),
        (["--timezone", "Europe"], "no such time zone"),
        (["--port", "70000"], "--port '70000'"),
        (["--host", "no such host.invalid", "--auth"], "--host 'no such host.invalid'"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1 lets other machines in: give --auth too"),
        (["--images", "somewhere"], "--images and --metadata belong together"),
        (["--archive", "/no/such/archive"], "/no/such/archive"),
        (["--database", "sqlite:///x.db"], "give postgresql+asyncpg://"),
        (["--database", "nonsense"], "not a URL"),
        (["--database", "postgresql+asyncpg://u@127.0.0.1:1/prefect"], "cannot be reached"),
        (["--database", "postgresql+asyncpg://u:a-secret-word@127.0.0.1/prefect"], "can be read by every user"),
        (["--deployments", "/no/such.yaml"], "--deployments /no/such.yaml: No such file"),
        (["--notify", "hooks.clinic.test/a-secret-word"], "--notify is not an address to notify"),
        (["--notify", "smtp://mail.clinic.test"], "needs one sender and a receiver"),
        (["--min-new", "0"], "--min-new"),
        (["--home", "/no/such/home"], "--home /no/such/home: there is no folder /no/such; create it first"),
        (["--home", "/dev/null/home"], "home /dev/null/home: Not a directory"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_wrong_request(
    skinml: CommandLine, trained: Path, home: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["skinml", *flags])
    own = [] if "--home" in flags else ["--home", home]
    refused = refusal(skinml, "--workspace", trained, "up", "--port", 0, *own, *flags)
    assert said in refused
    assert "a-secret-word" not in refused
    assert not home.exists()
    assert below(home) == []


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "SKINML_MIN_NEW",
            "abc",
            "--min-new 'abc'",
        ),
        (
            "SKINML_MIN_NEW",
            "-5",
            "--min-new '-5'",
        ),
        ("SKINML_NOTIFY", "nonsense", "--notify is not an address"),
        ("SKINML_UP_AUTH", "a-secret-word", "SKINML_UP_AUTH true, false or user:password"),
    ],
)
def test_a_variable_that_every_later_run_would_stumble_over(
    skinml: CommandLine,
    trained: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(variable, value)
    refused = refusal(skinml, "--workspace", trained, "up", "--port", 0, "--home", home)
    assert said in refused
    assert "a-secret-word" not in refused
    assert not home.exists()


def test_a_workspace_in_which_nothing_has_run(skinml: CommandLine, home: Path, tmp_path: Path) -> None:
    assert "nothing has run there yet" in refusal(skinml, "--workspace", tmp_path / "new", "up", "--home", home)
    assert not home.exists()
    assert not (tmp_path / "new").exists()


def test_a_port_in_use(skinml: CommandLine, trained: Path, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = refusal(skinml, "--workspace", trained, "up", "--home", home, "--port", port)
    assert f"port {port} is in use by another program; stop it, or give another --port" in said
    assert not home.exists()


def test_a_pool_that_does_not_exist(skinml: CommandLine, trained: Path, home: Path, tmp_path: Path) -> None:
    flags = ("--home", home, "--port", 0, "--deployments", other_pool(tmp_path))
    said = refusal(skinml, "--workspace", trained, "up", *flags)
    assert "is for the work pool 'cpu', which does not exist; skinml up has skinml, retrain, gpu" in said
    assert not home.exists()


def test_credentials_are_taken_from_the_environment_alone(
    skinml: CommandLine, trained: Path, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "skinml.toml"
    file.write_text('[up]\nauth = "user:a-secret-word"\n')
    said = refusal(skinml, "--workspace", trained, "--config", file, "up", "--home", home)
    assert "set SKINML_UP_AUTH" in said
    assert "a-secret-word" not in said


def test_a_folder_for_something_else_is_not_shut(skinml: CommandLine, trained: Path, tmp_path: Path) -> None:
    """The home folder becomes readable by this user alone: `--home /tmp` as root would shut out everybody."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "of others.txt").touch()
    said = refusal(skinml, "--workspace", trained, "up", "--home", shared, "--port", 0)
    assert "holds other files and is open to other users" in said
    assert shared.stat().st_mode & 0o777 == 0o755
    assert [one.name for one in shared.iterdir()] == ["of others.txt"]
