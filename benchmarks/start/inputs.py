"""What is compared: this tree, and a commit from before taken out of git; both score the same few images."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.bench import Bench, say
from benchmarks.harness.bundle import Bundle
from benchmarks.harness.inputs import REPOSITORY

NOW, EARLIER = "now", "before"

NEW_IMAGES = 16


@dataclass(frozen=True)
class Tree:
    """The packages of one commit, and how its programs are started."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Python finds its packages, and nothing in the current folder."""
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    def skinml(self, workspace: Path, *arguments: object) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "skinml", "--json", "--workspace", str(workspace), *map(str, arguments)]


def trees(bench: Bench) -> dict[str, Tree]:
    """This tree and the one from before, which is left out if no clone has its commit."""
    found = {NOW: Tree(REPOSITORY)}
    packed = subprocess.run(
        ["git", "archive", "--format=tar", bench.options.before, "skinml", "tasks", "flows", "deployments"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if packed.returncode:
        say(f"only this tree: {packed.stderr.decode(errors='replace').strip()}")
        return found
    folder = bench.fresh("before")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return {EARLIER: Tree(folder), **found}


def scored_workspace(bench: Bench, bundle: Bundle, tree: Tree, archive: Path) -> Path:
    """A workspace that has scored the archive once, so that nothing of it is new."""
    workspace = bundle.copy_to(bench.fresh("scored"))
    bench.run(tree.skinml(workspace, "score", "--archive", archive), tree.environment)
    return workspace
