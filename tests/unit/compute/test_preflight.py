"""Tests of skinml/compute/preflight.py, on real schedulers and workers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from distributed import LocalCluster

import skinml
from skinml.compute import check_cluster, connect, map_shards
from skinml.compute.versions import LIBRARIES, difference, versions_here
from skinml.errors import RequestError, RunError
from skinml.storage.urls import file_uri
from tests.services.seaweedfs import ObjectStore
from tests.unit.compute import clusters, work

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def cluster_of(folder: Path, *workers: dict[str, object]) -> Iterator[Client]:
    """A client of a scheduler with these workers, all of which have come."""
    with ExitStack() as running:
        scheduler = running.enter_context(clusters.scheduler(folder))
        for number, options in enumerate(workers):
            named = {"name": f"worker-{number}", **options}
            running.enter_context(clusters.worker(scheduler.address, folder, **named))  # type: ignore[arg-type]
        clusters.wait_for_workers(scheduler.address, len(workers))
        yield running.enter_context(connect(scheduler.address))


def refusal_of(check: Callable[[], None]) -> str:
    """What a check says, which is one line."""
    with pytest.raises(RequestError) as refusal:
        check()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


# Workers that are there


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "a b.jpg").write_bytes(b"an image")
    return folder


def test_a_cluster_that_sees_what_it_needs_passes_and_nothing_stays(tmp_path: Path, archive: Path) -> None:
    workspace = tmp_path / "not" / "yet" / "there"
    with cluster_of(tmp_path, {}, {}) as client:
        check_cluster(client, str(workspace), [file_uri(str(archive / "a b.jpg"))], 10, workers=2)
        check_cluster(client, str(workspace), [], 10)
        assert not (tmp_path / "not").exists(), "folders that were not there are not there"
        workspace.mkdir(parents=True)
        (workspace / "runs").touch()
        check_cluster(client, str(workspace), [], 10)
        assert [path.name for path in workspace.iterdir()] == ["runs"]


def test_in_a_bucket_nothing_stays_either(tmp_path: Path, object_store: ObjectStore, bucket: str) -> None:
    environment = object_store.environment()
    with cluster_of(tmp_path, {"environment": environment}) as client:
        check_cluster(client, f"{bucket}/workspace", [], 10)
    assert object_store.files().find(bucket[5:]) == []


def test_local_workers_are_not_asked(tmp_path: Path) -> None:
    with connect(workers=1) as client:
        check_cluster(client, "/dev/null/no workspace", ["file:///nowhere"], 0, workers=9)


# Workers that are missing


def test_too_few_workers_are_counted(tmp_path: Path) -> None:
    with cluster_of(tmp_path) as client:
        began = time.monotonic()
        said = refusal_of(lambda: check_cluster(client, str(tmp_path), [], 1.5))
        assert 1.5 <= time.monotonic() - began < 10
        end = "start them, or set a longer --cluster-wait"
        address = client.scheduler.address
        assert said == f"--cluster {address}: 0 of 1 workers came within 1.5 s; {end}"
        with clusters.worker(address, tmp_path):
            clusters.wait_for_workers(address, 1)
            said = refusal_of(lambda: check_cluster(client, str(tmp_path), [], 1, workers=3))
            assert said == f"--cluster {address}: 1 of 3 workers came within 1 s; {end}"
            assert list(map_shards(client, work.square, [3])) == [9], "the cluster works on"


def test_an_adaptive_cluster_without_workers_starts_as_many_as_are_asked_for(tmp_path: Path) -> None:
    with (
        LocalCluster(
            n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        # Workers stay for 10 s without work: 3 x 100 ms would be over before a busy machine has asked them.
        cluster.adapt(minimum=0, maximum=3, interval="100ms", wait_count=100)
        check_cluster(client, str(tmp_path), [], 60, workers=2)
        said = refusal_of(lambda: check_cluster(client, str(tmp_path), ["file:///nowhere.jpg"], 60, workers=2))
        assert said.startswith("worker tcp://127.0.0.1:"), "they were asked while they were there"


# Workers with other libraries

OTHER_VERSION = """
import importlib.metadata as metadata
real = metadata.version
metadata.version = lambda name: "0.0.1" if name == "simplejpeg" else real(name)
"""


def test_a_worker_with_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(OTHER_VERSION)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with cluster_of(tmp_path, {}, {"environment": {"PYTHONPATH": path}}) as client:
        said = refusal_of(lambda: check_cluster(client, str(tmp_path / "workspace"), [], 10))
        theirs = next(
            address for address, version in client.run(simplejpeg_version).items() if version == "0.0.1"
        )
        ours = versions_here()["simplejpeg"]
        assert said == (
            f"worker {theirs}: simplejpeg is 0.0.1 there and {ours} here; install the same version on both"
        )
        with pytest.raises(RunError) as failure:
            list(map_shards(client, work.take_a_tenth, range(20)))
        assert str(failure.value) == said, "a worker that joins later is asked before its first shard"
    assert not (tmp_path / "workspace").exists()


def simplejpeg_version() -> str:
    from importlib.metadata import version

    return version("simplejpeg")


WITHOUT_SKINML = [
    *(sys.executable, "-S", "-c"),
    f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); sys.argv[0] = 'dask worker'\n"
    "from distributed.cli.dask_worker import main; main()",
]
"""Libraries, and neither this checkout nor what is installed in editable form."""


def test_a_worker_without_skinml_is_named(tmp_path: Path) -> None:
    with cluster_of(tmp_path, {"environment": {"PYTHONPATH": ""}, "python": WITHOUT_SKINML}) as client:
        [worker] = client.nthreads()
        said = refusal_of(lambda: check_cluster(client, str(tmp_path), [], 10))
        version = skinml.__version__
        assert said == f"worker {worker}: has no skinml; install {version}, the version of this process"


def test_every_library_that_matters_is_compared() -> None:
    here = versions_here()
    assert {name for name, version in here.items() if version is not None} == set(LIBRARIES)
    assert difference(here, here) is None
    for name in LIBRARIES:
        assert name in str(difference(here, {**here, name: "0.0.1"}))
        assert name in str(difference(here, {**here, name: None}))


# Workers that see something else


def can_unshare() -> bool:
    command = ["unshare", "-m", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_unshare(), reason="a mount namespace of its own, as root can have one")
@pytest.mark.parametrize("hidden", ["workspace", "archive"])
def test_a_worker_on_another_disk_is_named(tmp_path: Path, archive: Path, hidden: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    before = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs tmpfs "{tmp_path / hidden}" && exec "$@"', "sh"]
    image = file_uri(str(archive / "a b.jpg"))
    with cluster_of(tmp_path, {"before": before}) as client:
        [worker] = client.nthreads()
        said = refusal_of(lambda: check_cluster(client, str(workspace), [image], 10))
    if hidden == "workspace":
        assert said.startswith(f"worker {worker}: does not see the workspace {workspace}: {workspace}/.probe-")
        assert said.endswith(
            "not found; put the workspace in a bucket or on a disk that every worker mounts at the same place"
        )
    else:
        assert said.startswith(f"worker {worker}: cannot read {image} of the archive: ")
    assert list(workspace.iterdir()) == []


def test_a_worker_with_other_credentials_is_named(
    tmp_path: Path, object_store: ObjectStore, bucket: str
) -> None:
    wrong = {**object_store.environment(), "AWS_SECRET_ACCESS_KEY": "not-the-right-one"}
    with cluster_of(tmp_path, {"environment": wrong}) as client:
        [worker] = client.nthreads()
        said = refusal_of(lambda: check_cluster(client, f"{bucket}/workspace", [], 10))
    assert said.startswith(f"worker {worker}: does not see the workspace {bucket}/workspace: ")
    assert "access refused" in said
    assert object_store.files().find(bucket[5:]) == []


def test_a_scheduler_that_dies_meanwhile_is_one_line(tmp_path: Path) -> None:
    with clusters.scheduler(tmp_path) as scheduler, connect(scheduler.address) as client:
        scheduler.process.kill()
        scheduler.process.wait()
        with pytest.raises(RunError, match="the scheduler ended or lost the connection"):
            check_cluster(client, str(tmp_path), [], 5)


# What workers that we did not start lack

FAULTS = """
import resource, sys
from skinml.process.memory import keep_freed_memory
import numpy as np

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(600 * 450 * 3, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults(20)
print(faults(200))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_freed_memory_is_kept_where_we_ask_for_it() -> None:
    """A photograph's pixels, freed and taken again: with Dask's setting each costs a fault for every page."""
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": str(64 * 1024)}
    found = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how], env=environment, text=True))
        for how in ("as it is", "keep")
    }
    assert found["keep"] < found["as it is"] / 10, found


def test_workers_of_an_address_keep_freed_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def is_set() -> int:
        from skinml.process.memory import keep_freed_memory

        return int(keep_freed_memory.cache_info().currsize)

    with cluster_of(tmp_path, {}) as client, caplog.at_level(logging.WARNING, "skinml.compute"):
        assert set(client.run(is_set).values()) == {0}
        list(map_shards(client, work.square, [1]))
        assert set(client.run(is_set).values()) == {1}
        check_cluster(client, str(tmp_path), [], 10)
    assert caplog.messages == []
