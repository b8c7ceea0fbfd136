"""Tests of skinml/training/installed.py: what is missing is said before anything heavy is loaded or written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HIDES = """
import sys
for name in {missing!r}:
    sys.modules[name] = None  # neither found nor imported any more
"""
WATCHED = (
    "import sys; from flows.cli.main import main;"
    "code = main(sys.argv[1:]); print(sorted(sys.modules)); sys.exit(code)"
)


@pytest.mark.parametrize(
    ("missing", "backend", "words"),
    [
        (["keras"], None, "train needs keras, not installed here: pip install 'skinml[train]'"),
        (
            ["keras", "tensorflow"],
            "jax",
            "train needs keras, not installed here: pip install 'skinml[train]'",
        ),
        (["torch"], "torch", "KERAS_BACKEND=torch: not installed here: pip install torch, or unset it"),
        ([], "numpy", "KERAS_BACKEND=numpy cannot train: set it to one of tensorflow, jax, torch"),
    ],
)
def test_train_says_what_to_install(
    missing: list[str], backend: str | None, words: str, tmp_path: Path
) -> None:
    """In a process that cannot import it, as of a base install: one line, exit 2, nothing written."""
    pytest.importorskip("keras")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDES.format(missing=missing))
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    path = [str(tmp_path / "site"), *sys.path]
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, path))}
    if backend:
        environment["KERAS_BACKEND"] = backend
    command = [sys.executable, "-c", WATCHED, "--workspace", str(tmp_path / "ws"), "--json", "train"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    assert (done.returncode, done.stderr.splitlines()) == (2, [f"skinml: {words}"])
    answer, loaded = done.stdout.splitlines()
    assert json.loads(answer) == {"error": words, "exit_code": 2}
    assert not (tmp_path / "ws").exists()
    modules = {name.partition(".")[0] for name in json.loads(loaded.replace("'", '"'))}
    assert not modules & {"prefect", "dask", "pandas", "jax"} - {*missing}, "so that it is said within a second"
