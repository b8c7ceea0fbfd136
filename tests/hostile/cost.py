"""What files cost: CPU seconds and peak memory, each measured in a process of its own.

python -m tests.hostile.cost NAME ...   prints the cost of heavy files in both modes, a line of JSON each
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import skinml.images.colour  # noqa: F401 - children are forked with all of it loaded
from skinml.errors import ImageRejected
from skinml.images.budget import MAX_BYTES
from skinml.images.choices import DecodeMode
from skinml.images.decode import decode

SIZE = 64
MODES: tuple[DecodeMode, ...] = ("fast", "exact")

MAX_SECONDS = 10.0
"""CPU time that one file may take."""


@dataclass(frozen=True)
class Cost:
    """What became of a file: `decoded`, a reason, or `crashed`; why; and what that cost."""

    outcome: str
    detail: str
    seconds: float
    peak_bytes: int

    @property
    def fits(self) -> bool:
        """Whether it stayed within what an image may cost, and the process lives."""
        return self.outcome != "crashed" and self.seconds <= MAX_SECONDS and self.peak_bytes <= MAX_BYTES


def in_a_process(work: Callable[[], object]) -> None:
    """Make something that takes more memory than its maker should keep."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"exit {process.exitcode}")


def measure(path: Path, mode: DecodeMode, size: int = SIZE) -> Cost:
    """Decode one file in a forked process: its peak over what it had after the file was read."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_decode_and_tell, args=(path, mode, size, there))
    process.start()
    there.close()
    try:
        cost: Cost = here.recv()
    except EOFError:
        cost = Cost("crashed", "", 0, 0)
    process.join()
    return cost


def measure_together(files: dict[str, bytes], mode: DecodeMode, size: int = SIZE) -> dict[str, Cost]:
    """Decode files one after the other in a forked process: CPU seconds of each, and by how much the peak rose.

    After a file that ends the process, the next ones have another.
    """
    context = multiprocessing.get_context("fork")
    found: dict[str, Cost] = {}
    while left := [name for name in files if name not in found]:
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=_decode_in_turn, args=([files[name] for name in left], mode, size, there)
        )
        process.start()
        there.close()
        for name in left:
            try:
                found[name] = here.recv()
            except EOFError:
                found[name] = Cost("crashed", "", 0, 0)
                break
        process.join()
    return found


def outcome(data: bytes, mode: DecodeMode, size: int = SIZE) -> tuple[str, str]:
    """`decoded`, or the reason and the words of the rejection. Any other exception is the caller's."""
    try:
        decode(data, size, mode, "srgb" if mode == "fast" else "as_stored")
    except ImageRejected as rejection:
        return rejection.reason.value, rejection.detail
    return "decoded", ""


def rate(files: Iterable[bytes]) -> tuple[int, float]:
    """How many files are decoded or refused in both modes, and the CPU seconds that takes here, one thread."""
    several = list(files)
    started = time.process_time()
    for data in several:
        for mode in MODES:
            outcome(data, mode)
    return len(several), time.process_time() - started


def _decode_and_tell(path: Path, mode: DecodeMode, size: int, pipe: Connection) -> None:
    data = path.read_bytes()
    before, started = _peak_bytes(), time.process_time()
    found = outcome(data, mode, size)
    pipe.send(Cost(*found, time.process_time() - started, _peak_bytes() - before))


def _decode_in_turn(files: list[bytes], mode: DecodeMode, size: int, pipe: Connection) -> None:
    rest = _peak_bytes()
    for data in files:
        started = time.process_time()
        found = outcome(data, mode, size)
        pipe.send(Cost(*found, time.process_time() - started, _peak_bytes() - rest))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(names: list[str]) -> None:
    """Print the cost of heavy files: name, mode, and the fields of Cost."""
    from tests.hostile.heavy import FILES

    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            in_a_process(lambda path=path, name=name: path.write_bytes(FILES[name]()))  # type: ignore[misc]
            for mode in MODES:
                cost = measure(path, mode)
                print(json.dumps({"name": name, "mode": mode, "fits": cost.fits, **asdict(cost)}), flush=True)
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
