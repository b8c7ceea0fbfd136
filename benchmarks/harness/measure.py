"""Measure time and peak memory of whole programs, and compute slopes and exponents."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MEGABYTE = 1_000_000
SAMPLE_SECONDS = 0.2
"""Memory is asked for so often; the kernel keeps each process's peak, so that none between two is missed."""
TIMEOUT_SECONDS = 900.0
OWN = ("SKINML_", "PREFECT_", "AWS_")
"""Environment variables that would make a program here do something else than on another machine."""


class ProgramError(RuntimeError):
    """A program that was to be measured ended with an error; what it said last is the message."""


@dataclass(frozen=True)
class Measured:
    """What one program took."""

    seconds: float
    stdout: str
    driver_mb: float | None = None
    """Peak resident memory of the program's own process, 10^6 bytes; None where not asked for or not Linux."""
    worker_mb: float | None = None
    """The largest peak among the processes that it started; None where there were none, too."""


@dataclass
class _Peaks:
    """Peak resident bytes of a program and of every process that it started, as far as they were seen."""

    root: int
    bytes_of: dict[int, int] = field(default_factory=dict)

    def sample(self) -> None:
        """Look at the program and all that it started."""
        for pid in family(self.root):
            self.bytes_of[pid] = max(peak_bytes(pid), self.bytes_of.get(pid, 0))

    def driver(self) -> float | None:
        """Megabytes of the program's own process."""
        return self.bytes_of.get(self.root, 0) / MEGABYTE or None

    def worker(self) -> float | None:
        """Megabytes of the largest of the others."""
        others = [size for pid, size in self.bytes_of.items() if pid != self.root]
        return max(others) / MEGABYTE if others else None


def family(root: int) -> list[int]:
    """A process and all that descend from it, by what Linux says in /proc; itself alone elsewhere."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):  # it has just ended
                waiting += map(int, children.read_text(encoding="ascii").split())
    return found


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process ever had, which Linux keeps; 0 where it is not to be had."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def clean_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without what is the developer's own, Prefect's home being `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    return {**kept, "PREFECT_HOME": str(home), **(more or {})}


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    log: Path,
    memory: bool = False,
    limit: float = TIMEOUT_SECONDS,
) -> Measured:
    """Run a program to its end and measure it.

    Args:
        command: program and arguments.
        environment: all of it.
        cwd: where it runs.
        log: gets what it says on stderr.
        memory: whether to watch its memory too, which costs a little time.
        limit: seconds that it may take.

    Raises:
        ProgramError: it ended with an error or took longer than that.
    """
    peaks = None
    with log.open("wb") as errors, log.with_suffix(".out").open("w+b") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env=dict(environment), cwd=cwd, stdout=output, stderr=errors, start_new_session=True
        )
        try:
            if memory:
                peaks = _Peaks(process.pid)
                _watch(process, peaks, start + limit)
            code = process.wait(timeout=max(1.0, start + limit - time.perf_counter()))
        except subprocess.TimeoutExpired:
            raise ProgramError(f"took more than {limit:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its workers too
                process.wait()
        seconds = time.perf_counter() - start
        output.seek(0)
        stdout = output.read().decode(errors="replace")
    if code != 0:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ProgramError(said[-1][:300] if said else f"exit code {code}")
    return Measured(seconds, stdout, peaks.driver() if peaks else None, peaks.worker() if peaks else None)


def _watch(process: subprocess.Popen[bytes], peaks: _Peaks, deadline: float) -> None:
    while process.poll() is None:
        peaks.sample()
        try:
            process.wait(timeout=SAMPLE_SECONDS)
        except subprocess.TimeoutExpired:
            if time.perf_counter() > deadline:
                raise


def seconds_per_image(small: tuple[int, float], large: tuple[int, float]) -> float:
    """The slope between two runs, each (images, seconds): what one more image costs, start-up left out."""
    if large[0] <= small[0]:
        raise ValueError(f"the large run has {large[0]} images, the small one {small[0]}")
    return (large[1] - small[1]) / (large[0] - small[0])


def startup_seconds(small: tuple[int, float], large: tuple[int, float]) -> float:
    """Where the line through two runs meets no images at all: what is paid once."""
    return small[1] - small[0] * seconds_per_image(small, large)


def rate(slope: float) -> float | None:
    """Images a second for seconds per image; None where noise ate the slope."""
    return 1 / slope if slope > 0 else None


def median(values: Sequence[float | None]) -> float | None:
    """The median of what could be measured; None where less than half could."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and 2 * len(known) > len(values) else None


def exponent(counts: Sequence[int], seconds: Sequence[float]) -> float | None:
    """The p with which `start-up + cost * n**p` fits best: least squares of the relative errors.

    Start-up is fitted too: taken from one small run, its noise of 0.1 s alone moves the power by 0.1.
    None where there are too few points.
    """
    if len(counts) < 4:
        return None
    n, t = np.asarray(counts, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    fits = []
    for power in np.arange(0.4, 2.2, 0.001):
        basis = np.stack([1 / t, n**power / t], axis=1)
        found = np.linalg.lstsq(basis, np.ones_like(t), rcond=None)[0]
        fits.append((float(np.sum((basis @ found - 1) ** 2)), float(power)))
    return min(fits)[1]
