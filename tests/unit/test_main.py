"""Tests of skinml/__main__.py: a foreign `flows` or `tasks` is named in one line and is not run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FOREIGN = "print('somebody else')\n"
"""A foreign package: stdout shows whether it was imported."""


def run_skinml(
    *arguments: str, python_path: Path, cwd: Path, safe_path: bool = True
) -> subprocess.CompletedProcess[str]:
    """`skinml ...` in a process of its own, as the console script starts it: without its folder on the path."""
    return subprocess.run(
        [sys.executable, *(["-P"] if safe_path else []), "-m", "skinml", *arguments],
        env={**os.environ, "PYTHONPATH": f"{python_path}{os.pathsep}{REPOSITORY}"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["flows", "tasks"])
@pytest.mark.parametrize("form", ["package", "module"])
def test_what_hides_a_package_is_named_and_not_run(name: str, form: str, tmp_path: Path) -> None:
    foreign = tmp_path / (f"{name}.py" if form == "module" else f"{name}/__init__.py")
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text(FOREIGN)
    done = run_skinml("--json", "score", "--archive", "x", python_path=tmp_path, cwd=REPOSITORY)
    told = f"Python finds another '{name}' before skinml's, {foreign}: take {tmp_path} off PYTHONPATH"
    assert done.returncode == 2
    assert done.stderr == f"skinml: {told}\n"
    assert json.loads(done.stdout) == {"error": told, "exit_code": 2}


def test_a_package_in_the_folder_where_python_is_started(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text(FOREIGN)
    elsewhere = tmp_path / "elsewhere"
    done = run_skinml("--version", python_path=elsewhere, cwd=tmp_path, safe_path=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "start skinml in another folder, or as `skinml` instead of `python -m skinml`\n"
    )
    assert run_skinml("--version", python_path=elsewhere, cwd=tmp_path).stdout.startswith("skinml ")


def test_a_folder_that_is_no_package_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "score.py").write_text(FOREIGN)
    done = run_skinml("--version", python_path=tmp_path, cwd=tmp_path, safe_path=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("skinml ")


def test_a_distribution_installed_over_ours(tmp_path: Path) -> None:
    """Two wheels with a package `flows`: pip lets the later one replace files of the earlier without a word."""
    for package in ("skinml", "tasks", "flows"):
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    file = tmp_path / "flows" / "__init__.py"
    file.write_text("")
    done = run_skinml("--version", python_path=tmp_path, cwd=tmp_path)
    told = f"another distribution has replaced skinml's {file}: install skinml in an environment of its own"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"skinml: {told}\n")

    shutil.rmtree(tmp_path / "flows")  # as that distribution leaves it when it is uninstalled
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    told = f"the package 'flows' is missing in {tmp_path}: reinstall skinml (pip --force-reinstall)"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"skinml: {told}\n")


ALONE = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
runpy.run_module("skinml", run_name="__main__")
"""
"""With -S: `python -m skinml` with one folder beside the standard library on the path."""
