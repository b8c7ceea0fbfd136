"""Nobody is told anything: what skinml connects to is what it was given, and loopback."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.traced import Trace, judge, trace

SKINML = [sys.executable, "-P", "-m", "skinml"]

SERVER = """
import sys
from pathlib import Path
import httpx
from flows.server import free_port, prefect_server
with prefect_server(Path(sys.argv[1]), free_port()) as server:
    server.wait_until_ready()
    answer = httpx.get(f"{server.url}/admin/settings").json()
    print("analytics:", answer["server"]["analytics_enabled"])
"""


def quiet(done: Trace) -> None:
    """Nothing was looked up, nobody was called, nothing was left behind."""
    assert done.lookups == []
    assert done.strangers == []
    assert list(done.scratch.iterdir()) == []
    assert not (done.home / ".cache" / "Microsoft").exists()


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(trained, tmp_path / "workspace"))


def test_scoring(workspace: str, tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for number in range(4):
        (archive / f"{number}.jpg").write_bytes(jpeg(number))
    done = trace([*SKINML, "--workspace", workspace, "score", "--archive", str(archive)], tmp_path / "run")
    assert re.search(r"^scored +4\s*$", done.printed, re.MULTILINE), done.printed
    quiet(done)


@pytest.mark.drill  # a fit takes three times as long while it is watched
def test_training(workspace: str, tmp_path: Path) -> None:
    quiet(trace([*SKINML, "--workspace", workspace, "train", "--epochs", "1"], tmp_path / "run"))


def test_a_prefect_server(tmp_path: Path) -> None:
    # It reports as soon as it runs: a server that may do so has looked a host up by the time it answers.
    done = trace([sys.executable, "-c", SERVER, str(tmp_path / "prefect")], tmp_path / "run")
    assert "analytics: False" in done.printed
    assert (done.lookups, done.strangers) == ([], [])


def test_the_trace_shows_a_look_up(tmp_path: Path) -> None:
    ask = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 53))"
    done = trace([sys.executable, "-c", ask], tmp_path / "run")
    assert len(done.lookups) == 1


@pytest.mark.parametrize(
    ("line", "stranger"),
    [
        ('sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.7")}, 16)', "192.0.2.7:443"),
        ('sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::7",', "2001:db8::7:443"),
        ('sin6_port=htons(80), inet_pton(AF_INET6, "::ffff:127.0.0.1", &sin6_addr)', None),
        ('sin6_port=htons(80), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}', None),
        ('sa_family=AF_INET, sin_port=htons(4200), sin_addr=inet_addr("127.0.0.1")}, 16)', None),
        ('sa_family=AF_UNIX, sun_path="/run/user/bus"}, 16)', None),
    ],
)
def test_who_is_a_stranger(line: str, stranger: str | None) -> None:
    assert judge(f"7824  connect(8, {{{line} = 0") == ([], [stranger] if stranger else [])
