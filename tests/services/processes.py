"""Programs that tests start: the command line in a process of its own, and services that end with the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def skinml_process(*arguments: object, environment: Mapping[str, str], cwd: Path) -> tuple[dict[str, Any], str]:
    """Run `skinml --json ...` as a person or a scheduler would: the result, and what it said."""
    command = [sys.executable, "-P", "-m", "skinml", "--json", *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result, done.stderr


@contextmanager
def service(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=log.parent, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll another process until it is ready; there is nothing else to wait on."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what} took more than {seconds} s"
        time.sleep(0.2)
