"""What workers do in these tests: functions that they import by name."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path

from skinml.errors import ImageRejected, Reason, StorageError

state = {"made in the parent": False}


def square(number: int) -> int:
    return number * number


def draw(_: int) -> str:
    return secrets.token_hex(8)


def who(_: int) -> tuple[int, bool, int]:
    from distributed import get_worker

    return os.getpid(), state["made in the parent"], get_worker().state.nthreads


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ImageRejected(Reason.TRUNCATED, "shard 3 is bad")
    return number


def out_of_range(number: int) -> int:
    return [0][number]


def take_a_second(number: int) -> int:
    time.sleep(1.0)
    return number


def take_a_tenth(number: int) -> int:
    time.sleep(0.1)
    return number


def _first_time(marker: Path) -> bool:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def die_once(job: tuple[int, str]) -> int:
    """Shard 2 kills its worker the first time that it is done."""
    number, folder = job
    if number == 2 and _first_time(Path(folder, "died")):
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_once(job: tuple[int, str]) -> int:
    """Every process that does a shard gets Ctrl-C; one of them dies first, so that another takes its place."""
    number, folder = job
    os.kill(os.getpid(), signal.SIGINT)
    return die_once((number, folder))


def storage_fails(job: tuple[int, str, int]) -> int:
    """Shard 2 fails so many times; every try of every shard leaves a line."""
    number, folder, times = job
    log = Path(folder, f"tries-{number}")
    with log.open("a") as file:
        file.write(f"{time.time()}\n")
    if number == 2 and len(log.read_text().splitlines()) <= times:
        raise StorageError("s3://bucket/shard-2: 503 slow down")
    return number
