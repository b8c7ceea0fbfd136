"""The shipped deployments on a Prefect server, as an operator sets them up: clone, deploy, worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from flows.server import Server
from skinml import tables
from tests.conftest import REPOSITORY, MadeUp
from tests.services.processes import service

PREFECT = [sys.executable, "-m", "prefect"]
NIGHTLY = "0 2 * * *"
"""The cron of score-nightly."""
OFTEN = "* * * * * */20"
"""A cron with seconds, so that a test does not wait for the next minute: every 20 s."""


@dataclass(frozen=True)
class Installation:
    """A clone, a workspace with a champion and an archive with images, and the environment that names them."""

    clone: Path
    workspace: Path
    archive: Path
    environment: Mapping[str, str]

    def prefect(self, server: Server, *arguments: str) -> None:
        """Run one command of Prefect's in the clone."""
        done = subprocess.run(
            [*PREFECT, "--no-prompt", *arguments],
            cwd=self.clone,
            env={**os.environ, **self.environment, "PREFECT_API_URL": server.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def deploy(self, server: Server) -> None:
        """Deploy everything in the clone's prefect.yaml."""
        self.prefect(server, "work-pool", "create", "--type", "process", "skinml")
        self.prefect(server, "deploy", "--all")

    @contextmanager
    def worker(self, server: Server, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker as the comments in prefect.yaml start it."""
        environment = {**self.environment, "PREFECT_API_URL": server.url, **more}
        command = [*PREFECT, "worker", "start", "--pool", "skinml", "--limit", "1"]
        with service(command, environment, self.clone.parent / "worker.log") as process:
            yield process


def install(
    folder: Path, trained: Path, made_up: MadeUp, images: Mapping[str, bytes], cron: str = NIGHTLY
) -> Installation:
    """A fresh clone with nothing changed but the cron of score-nightly, and the data that it works on."""
    mine = ("skinml-demo", ".venv*", ".bench", ".drill", ".git", ".*_cache", "__pycache__")
    clone = folder / "clone"
    shutil.copytree(REPOSITORY, clone, symlinks=True, ignore=shutil.ignore_patterns(*mine))
    shipped = clone / "deployments" / "prefect.yaml"
    text = shipped.read_text(encoding="utf-8")
    assert text.count(f'cron: "{NIGHTLY}"') == 1
    shipped.write_text(text.replace(NIGHTLY, cron), encoding="utf-8")
    archive = folder / "archive"
    archive.mkdir()
    for name, data in images.items():
        (archive / name).write_bytes(data)
    workspace = shutil.copytree(trained, folder / "workspace")
    environment = {
        "PREFECT_HOME": str(folder / "prefect of the worker"),
        "SKINML_WORKSPACE": str(workspace),
        "SKINML_ARCHIVE": str(archive),
        "SKINML_IMAGES": ",".join(str(root) for root in made_up.roots),
        "SKINML_METADATA": str(made_up.metadata),
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # a worker asks for work every 10 s otherwise
    }
    return Installation(clone, workspace, archive, environment)


def nights(server: Server, **only: Any) -> list[dict[str, Any]]:
    """The runs of score-nightly that the server knows of, the first scheduled one first."""
    body = {"deployments": {"name": {"any_": ["score-nightly"]}}, "sort": "EXPECTED_START_TIME_ASC", **only}
    answer = httpx.post(f"{server.url}/flow_runs/filter", json=body, timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def some_images(jpeg: Callable[..., bytes], number: int) -> dict[str, bytes]:
    """So many small images for the archive, the first of them broken."""
    return {f"{index}.jpg": jpeg(index) if index else b"" for index in range(number)}


def rows_of_nights(workspace: str) -> pd.DataFrame:
    """The rows of `runs` that nights have left."""
    rows = tables.read(workspace, "runs").to_pandas()
    scored: pd.DataFrame = rows[rows["flow"] == "score"]
    return scored
