"""The shipped deployments on a Prefect server, as an operator sets them up: copy the file, deploy, worker."""

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
from prefect.workers.process import ProcessWorker

from deployments import PREFECT_FILE
from deployments.up.deploy import POOLS
from flows.server import Server
from skinml import tables
from tests.conftest import MadeUp
from tests.services.processes import service
from tests.wheel import Environment

NIGHTLY = "0 2 * * *"
"""The cron of score-nightly."""
OFTEN = "* * * * * */20"
"""A cron with seconds, so that a test does not wait for the next minute: every 20 s."""


@dataclass(frozen=True)
class Installation:
    """A folder to deploy from, a workspace with a champion, an archive, and the environment that names them.

    `python` runs Prefect, with the skinml that is installed beside it.
    """

    folder: Path
    workspace: Path
    archive: Path
    environment: Mapping[str, str]
    python: str

    def prefect(self, server: Server, *arguments: str, expect: int = 0) -> None:
        """Run one command of Prefect's in the folder, which ends with this exit code."""
        done = subprocess.run(
            [self.python, "-m", "prefect", "--no-prompt", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment, "PREFECT_API_URL": server.url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr

    def deploy(self, server: Server, *options: str) -> None:
        """Deploy everything in the folder's prefect.yaml, or what else the options name."""
        for pool in POOLS:  # `prefect work-pool create` is 4 s of CPU time each
            pools = httpx.post(
                f"{server.url}/work_pools/",
                json={
                    "name": pool,
                    "type": "process",
                    "base_job_template": ProcessWorker.get_default_base_job_template(),
                },
                timeout=60,
            )
            assert pools.status_code in {201, 409}, pools.text  # 409: it is there already
        self.prefect(server, "deploy", *options, "--all")

    @contextmanager
    def worker(
        self, server: Server, pool: str = "skinml", log: str = "worker.log", **more: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A worker as the comments in prefect.yaml start it, in another folder than was deployed from."""
        environment = {**self.environment, "PREFECT_API_URL": server.url, **more}
        command = [self.python, "-m", "prefect", "worker", "start", "--pool", pool, "--limit", "1"]
        with service(command, environment, self.folder.parent / log) as process:
            yield process


def install(
    folder: Path,
    trained: Path,
    made_up: MadeUp,
    images: Mapping[str, bytes],
    cron: str = NIGHTLY,
    wheel: Environment | None = None,
) -> Installation:
    """Data to work on, and a copy of the shipped prefect.yaml with nothing changed but score-nightly's cron.

    With a wheel Prefect is run in its environment, and the folder is empty: the wheel has its own prefect.yaml.
    """
    place = folder / "deployed from here"
    place.mkdir()
    if wheel is None:
        text = PREFECT_FILE.read_text(encoding="utf-8")
        assert text.count(f'cron: "{NIGHTLY}"') == 1
        (place / "prefect.yaml").write_text(text.replace(NIGHTLY, cron), encoding="utf-8")
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
    if wheel is None:
        return Installation(place, workspace, archive, environment, sys.executable)
    return Installation(place, workspace, archive, {**environment, "PYTHONPATH": ""}, wheel.python)


def nights(server: Server, **only: Any) -> list[dict[str, Any]]:
    """The runs of score-nightly that the server knows of, the first scheduled one first."""
    body = {"deployments": {"name": {"any_": ["score-nightly"]}}, "sort": "EXPECTED_START_TIME_ASC", **only}
    answer = httpx.post(f"{server.url}/flow_runs/filter", json=body, timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def last_run(server: Server, name: str) -> dict[str, Any]:
    """The run of a flow that began last; others may be planned."""
    begun = {"start_time": {"is_null_": False}}
    only = {"flows": {"name": {"any_": [name]}}, "flow_runs": begun}
    body = {**only, "sort": "START_TIME_DESC", "limit": 1}
    [run] = httpx.post(f"{server.url}/flow_runs/filter", json=body, timeout=60).json()
    found: dict[str, Any] = run
    return found


def some_images(jpeg: Callable[..., bytes], number: int) -> dict[str, bytes]:
    """So many small images for the archive, the first of them broken."""
    return {f"{index}.jpg": jpeg(index) if index else b"" for index in range(number)}


def rows_of_nights(workspace: str) -> pd.DataFrame:
    """The rows of `runs` that nights have left."""
    rows = tables.read(workspace, "runs").to_pandas()
    scored: pd.DataFrame = rows[rows["flow"] == "score"]
    return scored
