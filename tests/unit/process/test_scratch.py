"""Tests of skinml/process/scratch.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from skinml.process.scratch import PREFIX, remove_abandoned, scratch_folder, temporary_folder

HOLD = """
import sys, tempfile
from skinml.process.scratch import scratch_folder
with scratch_folder("score") as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_everything_temporary_lies_in_it_and_goes_with_it(temporary: Path) -> None:
    with scratch_folder("score") as folder:
        assert folder.parent == temporary == temporary_folder()
        assert folder.name.startswith(f"{PREFIX}score-")
        Path(tempfile.mkdtemp(), "of a library").touch()
        child = [sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"]
        made = Path(subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip())
        assert made.parent == folder
    assert list(temporary.iterdir()) == []
    assert tempfile.gettempdir() == str(temporary) == os.environ["TMPDIR"]


def test_what_a_killed_run_has_left_is_removed_by_the_next_and_a_live_one_s_is_not(temporary: Path) -> None:
    def start() -> tuple[subprocess.Popen[str], Path]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe, text=True)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    (killed, left), (alive, kept) = start(), start()
    killed.kill()
    killed.communicate()
    assert left.is_dir()
    with scratch_folder("train"):
        assert not left.exists()
        assert kept.is_dir()
    alive.communicate("")
    assert list(temporary.iterdir()) == []


def test_other_folders_are_left_alone(temporary: Path) -> None:
    for name in ("skinml-drill-x", f"{PREFIX}score-being-made", "somebody's"):
        (temporary / name).mkdir()
    remove_abandoned()
    assert len(list(temporary.iterdir())) == 3
