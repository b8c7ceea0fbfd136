"""Every system on every input, in turn, over and over: whole programs with few and with many images."""

from __future__ import annotations

import statistics

from benchmarks.agreement import PixelError, check
from benchmarks.bench import Bench, Result, say
from benchmarks.inputs import KINDS, Input
from benchmarks.measure import ProgramError
from benchmarks.systems import LIMIT, SYSTEMS, System, scaled


def measure(bench: Bench) -> Result:
    """Seconds of each system's small and large runs, by kind of input, and how near its pixels are to Pillow's.

    The first repetition of all comes before the second one of any, so that a machine that gets slower or
    faster on the way does so for all of them.
    """
    found: Result = {}
    for kind in KINDS.values():
        most = max(scaled(system.sizes[kind.name], bench.scale)[1] for system in SYSTEMS)
        largest = bench.input(kind.name, most, warm=True)
        sizes = [file.stat().st_size for file in largest.files()]
        found[kind.name] = {"title": kind.title, "bytes": statistics.fmean(sizes), "systems": {}}
    for repetition in range(bench.repetitions):
        for kind_name, entry in found.items():
            for system in SYSTEMS:
                record = entry["systems"].setdefault(system.name, _new(system, kind_name, bench))
                if not record["error"]:
                    _add(bench, system, kind_name, record)
                    turn = f"peers {repetition + 1}/{bench.repetitions}"
                    say(f"{turn}: {kind_name}, {system.title}: {_short(record)}")
    return found


def _new(system: System, kind: str, bench: Bench) -> Result:
    images = scaled(system.sizes[kind], bench.scale)
    return {
        "title": system.title,
        "images": list(images),
        "seconds": [[], []],  # of the small runs and of the large ones
        "psnr_db": None,
        "error": None,
    }


def _add(bench: Bench, system: System, kind: str, record: Result) -> None:
    """One small run and one large run, one after the other; a failure ends this system's part."""
    for images, seconds in zip(record["images"], record["seconds"], strict=True):
        given = bench.input(kind, images)
        try:
            taken, worst = run_once(bench, system, given)
        except (ProgramError, PixelError) as error:
            record["error"] = str(error)
            return
        seconds.append(round(taken, 4))
        if worst is not None:
            record["psnr_db"] = round(min(worst, record["psnr_db"] or worst), 2)


def run_once(bench: Bench, system: System, given: Input) -> tuple[float, float | None]:
    """One whole program: its seconds, and the lowest PSNR of its pixels (None for the limit, which has none).

    Raises:
        ProgramError: it ended with an error.
        PixelError: it did not do the job.
    """
    out = bench.fresh("workspace" if not system.module else "parts" if _in_parts(system) else "pixels.npy")
    measured = bench.run(system.command(given, out, bench.size))
    if system.name == LIMIT:
        if int(out.read_text(encoding="ascii")) != given.count:
            raise PixelError("the limit did not decode every image")
        return measured.seconds, None
    return measured.seconds, check(out, given, bench.size)


def _in_parts(system: System) -> bool:
    return system.module in ("ray_data", "daft_images")


def _short(record: Result) -> str:
    if record["error"]:
        return f"failed: {record['error']}"
    (small, large), (few, many) = record["images"], record["seconds"]
    return f"{small} in {few[-1]:.2f} s, {large} in {many[-1]:.2f} s"
