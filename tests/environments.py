"""The unit tests in environments of their own: on other Pythons, and on the lowest versions that are declared.

    python -m tests.environments pythons [VERSION ...]   # constraints.txt, without the extra `train`
    python -m tests.environments lowest                  # constraints-lowest.txt, the lowest Python, every test
    python -m tests.environments lowest --short          # without `train`: SHORT

Without the extra `train`, tests/unit/conftest.py leaves out what needs it. A Python that is not installed is
passed over with a word.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
WITHOUT_TRAIN, FULL = ".[test]", ".[test,train]"
PYTEST = ["-m", "pytest", "--quiet", "--dist", "loadfile", "--no-loadscope-reorder"]
# What depends on the versions of libraries: pandas, pyarrow, deltalake, s3fs, obstore, Pillow, ONNX Runtime.
SHORT = [f"tests/unit/{name}" for name in ("storage", "dataset", "tables", "scoring", "images")]
# Warnings are no errors on the lowest versions: they are of libraries about newer ones that they depend on.
WARNINGS_PASS = ["--override-ini", "filterwarnings="]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 where tests fail."""
    parser = argparse.ArgumentParser(prog="python -m tests.environments")
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("pythons").add_argument("versions", nargs="*", default=supported())
    modes.add_parser("lowest").add_argument("--short", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.mode == "pythons":
        return max(
            _test(version, f".venv-{version}", WITHOUT_TRAIN, "constraints.txt", ["tests/unit"])
            for version in asked.versions
        )
    extras, tests = (WITHOUT_TRAIN, SHORT) if asked.short else (FULL, ["tests/unit"])
    return _test(supported()[0], ".venv-lowest", extras, "constraints-lowest.txt", [*tests, *WARNINGS_PASS])


def supported() -> list[str]:
    """The Pythons that pyproject.toml names, lowest first: "3.11", ..."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))


def find_python(version: str) -> str | None:
    """A Python of this version that starts: on the PATH, or one that pyenv has; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    on_path = shutil.which(f"python{version}")
    candidates = [on_path] if on_path else []
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
    for candidate in candidates:
        # pyenv puts a python3.12 on the PATH that only says that it is not chosen
        if subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def _test(version: str, folder: str, extras: str, constraints: str, options: Sequence[str]) -> int:
    python = find_python(version)
    if python is None:
        print(f"Python {version}: not installed, passed over", flush=True)
        return 0
    print(f"Python {version}, {constraints}, {extras}", flush=True)
    installed = install(python, REPOSITORY / folder, ["--editable", extras], constraints)
    processes = ["--numprocesses", os.environ.get("PROCESSES", "2")]
    return min(
        1, subprocess.run([installed, *PYTEST, *processes, *options], cwd=REPOSITORY, check=False).returncode
    )


def install(python: str, folder: Path, wanted: Sequence[str], constraints: str) -> str:
    """An environment with what is asked for, made anew where that has changed; its Python."""
    own, stamp = folder / "bin" / "python", folder / "installed"
    asked = hashlib.sha256(" ".join(wanted).encode())
    for source in ("pyproject.toml", constraints):
        asked.update((REPOSITORY / source).read_bytes())
    if stamp.exists() and stamp.read_text(encoding="utf-8") == asked.hexdigest():
        return str(own)
    # uv: pip takes two minutes of a core for what takes uv seconds
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--clear", "--python", python, str(folder)], check=True)
    pip = [*uv, "pip", "install", "--python", str(own), "--constraint", constraints, *wanted]
    subprocess.run(pip, cwd=REPOSITORY, check=True)
    stamp.write_text(asked.hexdigest(), encoding="utf-8")
    return str(own)


if __name__ == "__main__":
    sys.exit(main())
