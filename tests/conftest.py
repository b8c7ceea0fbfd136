"""What tests share: real services, started once a session, and small made-up archives."""

from __future__ import annotations

import gc
import io
import logging
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import hypothesis
import numpy as np
import pytest
from distributed import LocalCluster
from filelock import FileLock
from PIL import Image

from flows.cli.main import main
from flows.server import Server, free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from skinml.compute.local import LOCAL_CLUSTER
from skinml.lab.synth import make_archive
from skinml.lab.synth.archive import METADATA, PARTS
from skinml.models import registry
from skinml.storage import connection, suffixes
from skinml.storage.urls import file_path, normalise
from tests import effort, wheel
from tests.command import CommandLine
from tests.services import seaweedfs
from tests.services.seaweedfs import ObjectStore

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
REAL_DATA = REPOSITORY.parent / "shared"
"""Where the real HAM10000 lies for those who have it. Tests that need it are skipped for a stranger."""


def pytest_configure(config: pytest.Config) -> None:
    """Nothing of the developer's own: no server, no keys, no proxy, no workspace, no role of this machine."""
    for name in list(os.environ):
        if name.startswith(("SKINML_", "AWS_", "PREFECT_")):
            del os.environ[name]
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["SKINML_HOME"] = "/no/skinml up/of the developer's"
    # A shell ignores SIGINT in background jobs, nohup ignores SIGHUP, and children would inherit that: tests of
    # signals would hang.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    effort.register()
    hypothesis.settings.load_profile(config.getoption("--hypothesis-profile") or effort.USUAL)


HOSTILE_NAME = '<img src=x onerror=alert(1)>&"'
"""The name of an image that a page must escape."""

MARKS = {"benchmarks": "benchmark", "browser": "slow", "services": "slow"}
"""What all tests of a folder are marked with; other files that are slow say so themselves."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of whole folders, before `-m` chooses among them."""
    for item in items:
        for folder, mark in MARKS.items():
            if item.path.is_relative_to(TESTS / folder):
                item.add_marker(mark)


def pytest_unconfigure() -> None:
    """Undo `_set_aside_what_stays`: libraries that count what is left at the end of a process find nothing."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _log_is_captured(caplog: pytest.LogCaptureFixture) -> None:
    """What skinml logs reaches caplog once, whatever Prefect, Dask and the command line have set up before."""
    caplog.handler.setLevel(logging.NOTSET)  # LocalCluster(silence_logs=...) sets it while a cluster is open
    logger = logging.getLogger("skinml")
    logger.handlers[:] = [caplog.handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    if "absl.logging" in sys.modules:
        # TensorFlow's log handler keeps the stderr of its import, which may be pytest's own, and closes it when
        # Prefect sets up logging: "lost sys.stderr", and nothing is said of any test.
        sys.modules["absl.logging"].get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(autouse=True)
def _forget_buckets() -> None:
    """Connections are kept for the life of a process; the next test may have other keys."""
    connection.bucket.cache_clear()
    connection.file_system.cache_clear()


@pytest.fixture(autouse=True, scope="module")
def _set_aside_what_stays() -> None:
    """Garbage collections skip what is loaded by now. Each stage of a run makes one.

    skinml sets aside what is there after its first stage, once a process. Here other tests load more libraries
    after that: a night over six images took 1.0 s of CPU time, 0.85 of them in 17 collections.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A running S3 server with credentials."""
    with seaweedfs.running(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="session")
def shared_bucket(object_store: ObjectStore) -> str:
    """One bucket for most tests: making one takes longer than most tests do."""
    return object_store.new_bucket()


@pytest.fixture
def opened(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The S3 server, with the environment that opens it."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return object_store


@pytest.fixture
def bucket(opened: ObjectStore) -> str:
    """The URL of a new bucket, for tests that need all of one."""
    return f"s3://{opened.new_bucket()}"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for objects: the same test runs on a folder and on a bucket."""
    return new_place(request, tmp_path)


def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place on what the fixture's parameter names."""
    if request.param == "folder":
        folder = tmp_path / "place"
        folder.mkdir()
        return normalise(str(folder))
    request.getfixturevalue("opened")
    return f"s3://{request.getfixturevalue('shared_bucket')}/a prefix {secrets.token_hex(6)}"


@pytest.fixture
def put(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """Put one object below a place without our own code."""

    def put_object(url: str, data: bytes) -> None:
        if url.startswith("s3://"):
            store: ObjectStore = request.getfixturevalue("object_store")
            store.files().pipe_file(url[5:], data)
        else:
            Path(url).parent.mkdir(parents=True, exist_ok=True)
            Path(url).write_bytes(data)

    return put_object


@pytest.fixture
def without_dicom(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the extra `dicom`."""
    for module in suffixes.DICOM_MODULES:
        monkeypatch.setitem(sys.modules, module, None)  # neither found nor imported
    suffixes.dicom_installed.cache_clear()
    yield
    monkeypatch.undo()
    suffixes.dicom_installed.cache_clear()


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    """Make the bytes of a JPEG of smooth colours: `jpeg(seed, width, height)`."""

    def make(seed: int = 0, width: int = 96, height: int = 72, quality: int = 90) -> bytes:
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    return make


@pytest.fixture
def skinml(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line."""
    return CommandLine(capsys)


@dataclass(frozen=True)
class MadeUp:
    """A made-up labelled archive on a folder."""

    roots: tuple[Path, Path]
    metadata: Path

    def flags(self) -> list[object]:
        """What `prepare` is told of it."""
        return ["--images", self.roots[0], "--images", self.roots[1], "--metadata", self.metadata]


def made_once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that whichever test process comes first fills, and that all of them share."""
    own = folders.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            begun = folder.with_name(f"{name}-{secrets.token_hex(4)}")
            make(begun)
            begun.rename(folder)
    return folder


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """140 whole labelled images. Shared by the session: look, do not touch."""
    folder = made_once(
        tmp_path_factory, "made-up", lambda folder: make_archive(folder, 140, seed=11, processes=1)
    )
    return MadeUp((folder / PARTS[0], folder / PARTS[1]), folder / METADATA)


@pytest.fixture(scope="session")
def trained(made_up: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a champion, fitted for one epoch. Shared by the session: copy it before writing.

    Its floor is out of reach, whatever one epoch gives, so it is promoted by force.
    """

    def make(workspace: Path) -> None:
        prepare = ["prepare", *map(str, made_up.flags()), "--workers", "1"]
        assert main(["--workspace", str(workspace), *prepare]) == 0
        train = ["train", "--epochs", "1", "--floor-balanced-accuracy", "1"]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("skinml.training.dispatch.run_in_process", run_here)
            assert main(["--workspace", str(workspace), *train]) == 0
        [version] = registry.versions(str(workspace))
        promote = ["models", "promote", version, "--force", "--reason", "tests need a champion"]
        assert main(["--workspace", str(workspace), *promote]) == 0

    return made_once(tmp_path_factory, "trained", make)


@pytest.fixture(scope="session")
def scored(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained workspace, which has scored three images: `known`, `fresh` and HOSTILE_NAME.

    The first is one of the training images. Shared by the session: copy it before writing.
    """

    def make_images(archive: Path) -> None:
        archive.mkdir()
        samples = tables.read(str(trained), "samples").to_pandas()
        known = samples[samples["split"] == "train"].iloc[0]
        shutil.copy(file_path(known["uri"]), archive / "known.jpg")
        pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        for name in ("fresh", HOSTILE_NAME):
            Image.fromarray(pixels).resize((96, 72)).save(archive / f"{name}.jpg", "JPEG")

    archive = made_once(tmp_path_factory, "scored-archive", make_images)

    def score(workspace: Path) -> None:
        shutil.copytree(trained, workspace)
        assert main(["--workspace", str(workspace), "score", "--archive", str(archive)]) == 0

    return made_once(tmp_path_factory, "scored", score)


@pytest.fixture
def night(scored: Path, tmp_path: Path) -> Path:
    """A copy of the workspace; its rows name the images of the session's archive, which stay as they are."""
    return Path(shutil.copytree(scored, tmp_path / "workspace"))


@pytest.fixture
def workspace(place: str, trained: Path, request: pytest.FixtureRequest) -> str:
    """A copy of the trained workspace, on a folder and in a bucket, without what it scored."""
    url = f"{place}/workspace"
    if url.startswith("s3://"):
        store: ObjectStore = request.getfixturevalue("object_store")
        store.files().put(str(trained), url[5:], recursive=True)
    else:
        shutil.copytree(trained, url)
    return url


@pytest.fixture(scope="session")
def dask_cluster(object_store: ObjectStore) -> Iterator[str]:
    """The address of a Dask cluster that can read the S3 server."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in object_store.environment().items():
            patched.setenv(name, value)
        with dask.config.set(LOCAL_CLUSTER):
            cluster = LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                host="127.0.0.1",
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
    with cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training jobs run in this process: one of their own takes 6 s of CPU time before it fits, each time.

    That they run in such processes is shown in tests/unit/training/test_dispatch.py.
    """
    monkeypatch.setattr("skinml.training.dispatch.run_in_process", run_here)


def run_here(function: Callable[..., Any], job: Any, on_message: Callable[..., None]) -> Any:
    """Do a training job in this process."""
    return function(job, on_message)


@pytest.fixture
def shared_workers(dask_cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs use the session's cluster: workers of their own take 2 s to start, each time."""
    monkeypatch.setenv("SKINML_CLUSTER", dask_cluster)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Prefect server with a database of its own."""
    home = tmp_path_factory.mktemp("prefect")
    # Says when its services plan runs; a test that waits for one in vain shows it.
    profile = 'active = "test"\n[profiles.test]\nPREFECT_LOGGING_SERVER_LEVEL = "INFO"\n'
    (home / "profiles.toml").write_text(profile, encoding="utf-8")
    # Not the usual port: what only works on 4200 shall fail here.
    with start_prefect_server(home, free_port()) as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="session")
def wheel_environment(tmp_path_factory: pytest.TempPathFactory) -> wheel.Environment:
    """An environment with the wheel of this tree, which sees no clone."""
    folder = tmp_path_factory.mktemp("wheel")
    return wheel.install(wheel.build("wheel", REPOSITORY, folder / "built"), folder / "environment")
