"""What tests share: real services, started once a session, and small made-up archives."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skinml.storage import connection
from skinml.storage.urls import normalise

from tests.services import seaweedfs
from tests.services.seaweedfs import ObjectStore

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = REPOSITORY.parent / "shared"
"""Where the real HAM10000 lies for those who have it. Tests that need it are skipped for a stranger."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the developer's own: no server, no keys, no workspace."""
    for name in list(os.environ):
        if name.startswith(("SKINML_", "AWS_", "PREFECT_")) and name != "PREFECT_HOME":
            monkeypatch.delenv(name)
    connection.bucket.cache_clear()
    connection.file_system.cache_clear()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A running S3 server with credentials."""
    with seaweedfs.running(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket's URL, with the environment that opens it."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_store.new_bucket()}"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for objects: the same test runs on a folder and on a bucket."""
    if request.param == "folder":
        folder = tmp_path / "place"
        folder.mkdir()
        return normalise(str(folder))
    return f"{request.getfixturevalue('bucket')}/a prefix"


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


def encode(pixels: np.ndarray, format_: str = "JPEG", **options: object) -> bytes:
    """Pixels as the bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """Make the bytes of a JPEG of smooth colours: `jpeg(seed, width, height)`."""

    def make(seed: int = 0, width: int = 96, height: int = 72, quality: int = 90) -> bytes:
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    return make
