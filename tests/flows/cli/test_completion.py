"""Shell completion by its effect: a real shell on a terminal completes what a person began to type."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.main import main

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(cat {script})"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(cat {script})"'),
    "fish": (["fish", "--no-config", "-i"], "cat {script} | source"),
}
"""How a shell is started, and how it reads the script: as docs/operating.md has it."""

ENTER = "import os, sys; os.login_tty(int(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"
"""Makes a terminal the one that controls this process, without which fish ends, and becomes a command."""

SECONDS = 60.0


class Shell:
    """A shell on a terminal: what is typed goes in, what it draws comes out."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def read_until(self, text: str) -> str:
        """Read until this is drawn."""
        drawn, end = "", time.monotonic() + SECONDS
        while text not in drawn:
            assert time.monotonic() < end, f"no {text!r} in {drawn!r}"
            if select.select([self._leader], [], [], 1.0)[0]:
                drawn += os.read(self._leader, 65_536).decode(errors="replace")
        return drawn


@pytest.fixture(params=SHELLS)
def shell(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """A shell that has read the script of the completion verb."""
    command, read = SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} is installed")
    assert main(["completion", request.param]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    leader, follower = pty.openpty()
    enter = [sys.executable, "-c", ENTER, str(follower), *command]
    with subprocess.Popen(enter, env=environment, cwd=tmp_path, pass_fds=[follower]) as process:
        os.close(follower)
        this = Shell(leader)
        this.type(f"{read.format(script=script)}; echo re''ady\n")
        this.read_until("ready")
        try:
            yield this
        finally:
            process.kill()
            os.close(leader)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("skinml compa", "ct"),
        ("skinml score --arch", "ive"),
        ("skinml --works", "pace"),
        ("skinml prepare --decode exa", "ct"),
        ("skinml train --protocol gro", "uped"),
        ("skinml quarantine repl", "ay"),
        ("skinml quarantine --reason not_an_im", "age"),
        ("skinml --config set", "tings.toml"),
    ],
)
def test_a_shell_completes_verbs_flags_choices_and_files(
    shell: Shell, tmp_path: Path, typed: str, completed: str
) -> None:
    (tmp_path / "settings.toml").touch()
    shell.type(f"{typed}\t")
    shell.read_until(completed)


def test_the_script_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert "_shtab_skinml skinml\n" in capsys.readouterr().out


def test_completion_is_made_without_what_takes_long_to_load() -> None:
    code = (
        "import sys, flows.cli.main; flows.cli.main.main(['completion', 'bash']);"
        "assert not {'prefect', 'dask', 'pandas', 'rich', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
