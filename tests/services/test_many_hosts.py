"""Five hosts that share only a network and a bucket score an archive and retrain: the tables of one machine.

The drill: `make drill-hosts`. Namespaces are the hosts: one with PostgreSQL, the Prefect server and the Dask
scheduler; two with Dask workers, of which one is cut off while it works and comes back; one with the bucket;
one that serves the work pool `gpu`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deployments import PREFECT_FILE
from deployments.up.deploy import POOLS
from skinml import tables
from skinml.lab.synth.archive import METADATA, PARTS, make_archive
from skinml.models import registry
from skinml.models.judged import read_own_predictions
from skinml.schemas import PROBABILITY_COLUMNS
from tests.services.hosts import Host, can_make_hosts, hosts
from tests.services.network import (
    KEYS,
    SAMPLES,
    SCORES,
    Network,
    certificates,
    content,
    fetched,
    put,
    run,
    start_bucket,
    worker,
)
from tests.services.processes import wait_for

CUT_OFF_SECONDS = 45.0
ARCHIVE = 5_000
LABELLED = 400
NEW = 200
POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not can_make_hosts(), reason="needs root, iproute2 and namespaces"),
    pytest.mark.skipif(POSTGRES is None, reason="needs Debian's PostgreSQL"),
]

DEPLOYED = {
    "SKINML_ARCHIVE": "s3://skinml/archive",
    "SKINML_IMAGES": "s3://skinml/more",
    "SKINML_METADATA": f"s3://skinml/more/{METADATA}",
}
"""What the deployments are made with."""

DATABASE = """
set -e
mkdir -p /tmp/database && chown postgres /tmp/database && cd /tmp/database
as_postgres="setpriv --reuid=postgres --regid=postgres --clear-groups"
$as_postgres {bin}/initdb -D /tmp/database/data -A trust >/dev/null
exec $as_postgres {bin}/postgres -D /tmp/database/data -c listen_addresses=127.0.0.1 -k /tmp/database
"""


@dataclass(frozen=True)
class Site:
    """The hosts, and the commands that run on the one with the Prefect server."""

    network: Network
    control: Host
    gpu: Host
    environment: Mapping[str, str]

    def prefect(self, name: str, *arguments: str, **more: str) -> None:
        """One of Prefect's commands on the control host, which must succeed."""
        log = self.network.folder / f"{name}.log"
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        process = self.control.start(command, {**self.environment, **more}, log)
        assert process.wait(300) == 0, log.read_text()[-4000:]


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Start everything on five hosts."""
    names = ["bucket", "control", "first", "second", "gpu"]
    with ExitStack() as stack:
        bucket, control, first, second, gpu = stack.enter_context(hosts(names, folder))
        keys = {
            **KEYS,
            "AWS_ENDPOINT_URL": f"http://{bucket.address}:8333",
            "AWS_EC2_METADATA_DISABLED": "true",
            **certificates([control.disk, first.disk, second.disk, gpu.disk]),
        }
        start_bucket(bucket, folder)
        control.start(["bash", "-c", DATABASE.format(bin=POSTGRES)], {}, folder / "postgres.log")
        wait_for(lambda: "ready to accept" in (folder / "postgres.log").read_text(), 60, "PostgreSQL")
        server = {
            "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://postgres@127.0.0.1/postgres",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        prefect = [sys.executable, "-m", "prefect"]
        control.start([*prefect, "server", "start", "--host", control.address], server, folder / "server.log")
        dask = [sys.executable, "-m", "dask", "scheduler", "--protocol", "tls", "--host", control.address]
        control.start([*dask, "--port", "8786", "--no-dashboard"], keys, folder / "scheduler.log")
        environment = {
            **keys,
            "PREFECT_API_URL": f"http://{control.address}:4200/api",
            "DO_NOT_TRACK": "1",
            "SKINML_WORKSPACE": "s3://skinml/workspace",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        network = Network(bucket, control, second, folder, environment, "tls")
        for host, name in ((first, "first-0"), (first, "first-1"), (second, "second-0")):
            worker(network, host, name, supervised=True)
        made = Site(network, control, gpu, environment)
        wait_for(lambda: _answers(made), 120, "the Prefect server")
        for pool in POOLS:
            made.prefect(f"pool-{pool}", "work-pool", "create", "--type", "process", pool)
        made.prefect("deploy", "deploy", "--prefect-file", str(PREFECT_FILE), "--all", **DEPLOYED)
        start = [*prefect, "worker", "start", "--pool", "gpu", "--limit", "1"]
        gpu.start(start, environment, folder / "gpu-worker.log")
        wait_for(
            lambda: "started" in (folder / "gpu-worker.log").read_text(), 120, "the worker of the gpu host"
        )
        yield made


def _answers(made: Site) -> bool:
    log = made.network.folder / "health.log"
    code = "import os, httpx; httpx.get(os.environ['PREFECT_API_URL'] + '/health').raise_for_status()"
    return made.control.start([sys.executable, "-c", code], made.environment, log).wait(60) == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled images, more labelled images, and an archive."""
    folder = tmp_path_factory.mktemp("data")
    for name, images, seed in (("labelled", LABELLED, 1), ("more", NEW, 2)):
        make_archive(folder / name, images, seed=seed)
    make_archive(folder / "archive", ARCHIVE, seed=3)
    _rename_lesions(folder / "more")
    return folder


def _rename_lesions(more: Path) -> None:
    """Give the second set names of its own, as another year's patients have."""
    table = pd.read_csv(more / METADATA)
    for image in table["image_id"]:
        for part in PARTS:
            old = more / part / f"{image}.jpg"
            if old.exists():
                old.rename(more / part / f"more_{image}.jpg")
    table["image_id"] = "more_" + table["image_id"]
    table["lesion_id"] = "more_" + table["lesion_id"]
    table.to_csv(more / METADATA, index=False)


def _flags(place: str | Path) -> list[str]:
    roots = [part for name in PARTS for part in ("--images", f"{place}/{name}")]
    return [*roots, "--metadata", f"{place}/{METADATA}"]


TRAIN = ["train", "--epochs", "2"]
RETRAIN = ["retrain", "--min-new", "50", "--approve", "auto"]


def test_five_hosts_make_the_tables_of_one_machine(data: Path, tmp_path: Path) -> None:
    alone = _on_one_machine(data, tmp_path / "alone")
    with site(tmp_path) as made:
        there = _on_five_hosts(made, data)
        said = (tmp_path / "retrain.log").read_text()
    assert "training handed over to the work pool gpu" in said
    assert "epoch 1 of" not in said, "it trained on the control host"
    for table, columns in (("samples", SAMPLES), ("scores", SCORES)):
        pd.testing.assert_frame_equal(content(there, table, columns), content(alone, table, columns), atol=1e-6)
    assert len(content(there, "scores", SCORES)) == ARCHIVE
    for place in (there, alone):
        runs = tables.read(str(place), "runs").to_pandas()
        assert runs["status"].tolist() == ["completed"] * len(runs)
    (first, challenger), (same, again) = (sorted(registry.versions(str(place))) for place in (there, alone))
    assert len({first, challenger, same, again}) == 4
    decisions = [tables.read(str(place), "promotions").to_pandas() for place in (there, alone)]
    assert decisions[0]["decision"].tolist() == decisions[1]["decision"].tolist()
    predicted = [
        read_own_predictions(str(place), registry.find(str(place), version)).sort_values("image_id")
        for place, version in ((there, challenger), (alone, again))
    ]
    assert predicted[0]["image_id"].tolist() == predicted[1]["image_id"].tolist()
    one, other = (frame[list(PROBABILITY_COLUMNS)].to_numpy() for frame in predicted)
    np.testing.assert_allclose(one, other, atol=1e-3)


def _on_one_machine(data: Path, folder: Path) -> Path:
    folder.mkdir()
    workspace = folder / "workspace"

    def call(*arguments: str) -> None:
        command = [sys.executable, "-P", "-m", "skinml", "--workspace", str(workspace), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]

    call("prepare", *_flags(data / "labelled"))
    call(*TRAIN)
    _crown(call, str(workspace))
    call("score", "--archive", str(data / "archive"))
    call(*RETRAIN, *_flags(data / "more"))
    return workspace


def _crown(call: object, workspace: str) -> None:
    [version] = registry.versions(workspace)
    call("models", "promote", version, "--force", "--reason", "the drill needs a champion")  # type: ignore[operator]


def _on_five_hosts(made: Site, data: Path) -> Path:
    network = made.network
    for name in ("labelled", "more", "archive"):
        put(network, data / name, f"skinml/{name}")
    cluster = ["--cluster", network.scheduler, "--workers", "3", "--cluster-wait", "300"]
    run(network, "prepare", "prepare", *_flags("s3://skinml/labelled"), *cluster)
    trained = run(network, "train", *TRAIN, *cluster)
    version = trained["model_version"]
    run(network, "promote", "models", "promote", version, "--force", "--reason", "the drill needs a champion")

    def cut_off(log: Path) -> None:
        """From the listing on, one host is cut off; it comes back when its work was given to others."""
        wait_for(lambda: b"images listed" in log.read_bytes(), 300, "the listing")
        network.second.cut_off()
        time.sleep(CUT_OFF_SECONDS)
        network.second.join_again()

    scored = run(network, "score", "score", "--archive", "s3://skinml/archive", *cluster, meanwhile=cut_off)
    assert scored["scored"] == ARCHIVE
    decided = run(network, "retrain", *RETRAIN, *_flags("s3://skinml/more"), *cluster, "--train-on", "gpu")
    assert decided["decision"] in ("kept", "proposed", "promoted")
    there = fetched(network, "skinml/workspace")
    shutil.rmtree(there / "under_way", ignore_errors=True)
    return there
