"""Two machines and a bucket on this one: network and mount namespaces that share nothing but a bridge.

Each host has an address of its own and its own /tmp, which is its home too; what is installed is seen by all,
as it would be installed on each. Needs root and Debian's iproute2.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "10.213.77"
"""Of addresses that exist within the namespaces alone."""


def can_make_hosts() -> bool:
    """Whether this user may make network and mount namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"probe-{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    _ip("netns", "delete", name)
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Host:
    """One machine: its namespace, its cable, its address, its own disk, and what was started there."""

    name: str
    cable: str
    address: str
    disk: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Run a program there, in a session of its own; what it prints goes to `log`, outside."""
        mounts = f"mount --bind {self.disk} /tmp && cd /tmp"
        inside = [
            "ip",
            "netns",
            "exec",
            self.name,
            "unshare",
            "-m",
            "bash",
            "-c",
            f'{mounts} && exec "$@"',
            "-",
        ]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SKINML_"))}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*inside, *command],
                env={**clean, "HOME": "/tmp", "TMPDIR": "/tmp", **environment},  # noqa: S108 - the host's own
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def cut_off(self) -> None:
        """Pull the cable: packets are lost, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def join_again(self) -> None:
        """Plug the cable in again."""
        _ip("link", "set", self.cable, "up")


@contextmanager
def hosts(names: Sequence[str], folder: Path) -> Iterator[list[Host]]:
    """Hosts on one bridge, which are gone when the block ends, with everything that runs in them."""
    mark = secrets.token_hex(3)
    bridge = f"sk{mark}"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("link", "set", bridge, "up")
        made = []
        for number, name in enumerate(names, 1):
            disk = folder / f"disk-{name}"
            disk.mkdir()
            host = Host(f"{name}-{mark}", f"sk{mark}{number}", f"{NETWORK}.{number}", disk)
            _ip("netns", "add", host.name)
            stack.callback(_end, host)
            _ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _ip("link", "set", host.cable, "master", bridge, "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", host.name, "link", "set", device, "up")
            made.append(host)
        yield made


def _end(host: Host) -> None:
    listed = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, text=True, check=False)
    for pid in listed.stdout.split():
        subprocess.run(["kill", "-KILL", pid], capture_output=True, check=False)
    for process in host.started:
        process.wait()
    _ip("netns", "delete", host.name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
