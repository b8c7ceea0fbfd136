"""What a command and all of its processes connect to, by strace: it sees libraries in C++ too."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

DNS = 53
CALLS = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'sin6?_port=htons\((?P<port>\d+)\).*?"(?P<host>[0-9a-f.:]+)"')
RESOLVER = re.compile(r'sun_path="[^"]*(nscd|resolve)[^"]*"')
"""Sockets of programs that look names up for others."""

# Prefect's client reports only from a terminal, so the command gets one, which is drained here.
IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@dataclass(frozen=True)
class Trace:
    """What a command did.

    Attributes:
        lookups: calls that ask for the address of a name.
        strangers: addresses other than this machine's loopback, `host:port`.
        printed: its stdout and stderr.
        home: its home folder, empty before.
        scratch: its TMPDIR, empty before.
    """

    lookups: list[str]
    strangers: list[str]
    printed: str
    home: Path
    scratch: Path


def trace(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Trace:
    """Run a command in a terminal of its own, with nothing of this process's environment but PATH.

    Raises:
        AssertionError: it failed.
        Skipped: there is no strace, or it may not trace here.
    """
    strace = _find_strace()
    home, scratch, log = folder / "home", folder / "scratch", folder / "strace.log"
    home.mkdir(parents=True)
    scratch.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    own = {"HOME": str(home), "TMPDIR": str(scratch), "TERM": "dumb"}
    watched = [strace, "--seccomp-bpf", "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(log), *command]
    done = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL, *watched],
        env={**kept, **own, **(environment or {})},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    printed = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, printed
    lookups, strangers = judge(log.read_text("utf-8", "replace"))
    return Trace(lookups, strangers, printed, home, scratch)


def judge(log: str) -> tuple[list[str], list[str]]:
    """The lines of an strace log that look a name up, and the addresses that are not loopback."""
    lookups, strangers = [], []
    for line in log.splitlines():
        for found in ADDRESS.finditer(line):
            host, port = found["host"], int(found["port"])
            if port == DNS:
                lookups.append(line)
            if not _is_loopback(host):
                strangers.append(f"{host}:{port}")
        if RESOLVER.search(line):
            lookups.append(line)
    return lookups, strangers


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def _find_strace() -> str:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (Debian's package strace)")
    if subprocess.run([strace, "-f", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace processes here")
    return strace
