"""The wheel as a user installs it: built from this tree, into an environment that sees no clone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path


def build(target: str, source: Path, folder: Path) -> Path:
    """A wheel or an sdist of this source, alone in a new folder."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [built] = folder.iterdir()
    return built


@dataclass(frozen=True)
class Environment:
    """An environment with the wheel in it, and programs that run there."""

    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def run(self, *command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, by name, as a shell in which it is activated would; what it printed."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            env={**os.environ, "PYTHONPATH": "", "PATH": path, **variables},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )


def install(wheel: Path, folder: Path) -> Environment:
    """Install the wheel alone; what it depends on is found where the tests run, since that takes seconds."""
    venv.create(folder, symlinks=True, with_pip=False)
    environment = Environment(folder)
    pip = [sys.executable, "-m", "pip", "--python", environment.python]
    command = [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    # This puts the folders on the path without the .pth files in them, of which one leads to the clone.
    shared = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "shared.pth").write_text("".join(f"{folder}\n" for folder in shared))
    return environment
