"""A real S3 server for tests: SeaweedFS on free loopback ports, with credentials."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import s3fs
from botocore.exceptions import BotoCoreError

from skinml.lab.drill import object_store
from skinml.lab.drill.object_store import Server

START_SECONDS = 60.0


@dataclass(frozen=True)
class ObjectStore:
    """Where the server is and what opens it."""

    endpoint: str
    access_key: str
    secret_key: str
    server: Server

    def environment(self) -> dict[str, str]:
        """What every client of S3 reads."""
        return self.server.environment()

    def files(self) -> s3fs.S3FileSystem:
        """A client that is not ours, to put and look at objects."""
        return s3fs.S3FileSystem(
            endpoint_url=self.endpoint,
            key=self.access_key,
            secret=self.secret_key,
            use_listings_cache=False,
        )

    def new_bucket(self) -> str:
        """Make a bucket with a name of its own."""
        name = f"bucket-{secrets.token_hex(6)}"
        self.files().mkdir(name)
        return name


@contextmanager
def running(folder: Path) -> Iterator[ObjectStore]:
    """Start a server whose data lies in `folder`, wait until it takes a bucket, stop it at the end."""
    with object_store.running(folder) as server:
        store = ObjectStore(server.endpoint, server.access_key, server.secret_key, server)
        _wait(store)
        yield store


def _wait(store: ObjectStore) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            store.new_bucket()
        except (OSError, BotoCoreError) as error:
            if time.monotonic() > deadline or store.server.is_dead():
                log = store.server.log.read_text()[-2000:]
                raise RuntimeError(f"SeaweedFS did not start: {log}") from error
            time.sleep(0.2)  # polling another process until it is ready
        else:
            return
