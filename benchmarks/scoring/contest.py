"""Every system on one archive, in turn, over and over: whole programs with few and with many images."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from benchmarks.bench import Bench, Result, say
from benchmarks.inputs import Input
from benchmarks.measure import Measured, ProgramError
from benchmarks.scoring.agreement import Agreement, ScoreError, check
from benchmarks.scoring.bundle import Bundle
from benchmarks.scoring.systems import System, systems_of
from benchmarks.systems import scaled

KIND = "q75"


def counts(bench: Bench, place: str) -> list[int]:
    """The numbers of images that the systems run on, each once, ascending."""
    found = {count for system in systems_of(place) for count in scaled(system.sizes[place], bench.scale)}
    return sorted(found)


def hold(
    bench: Bench,
    bundle: Bundle,
    place: str,
    url_of: Callable[[Input], str],
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Seconds of each system's small and large runs, how exact its probabilities are, and skinml's memory.

    The first repetition of all comes before the second one of any, so that a machine that gets slower or
    faster on the way does so for all of them.

    Args:
        bench: this run of the benchmarks.
        bundle: the model.
        place: folder or bucket.
        url_of: where an input's images are for the programs.
        environment: what they need to get there.
    """
    largest = bench.input(KIND, counts(bench, place)[-1], warm=True)
    found: Result = {
        "title": f"from a {place}",
        "bytes": statistics.fmean(file.stat().st_size for file in largest.files()),
        "systems": {system.name: _new(system, place, bench) for system in systems_of(place)},
        "memory": {},
    }

    def run_once(system: System, given: Input, memory: bool = False) -> Measured:
        out = bench.fresh(f"{system.name}.{system.output}")
        if system.output == "tables":
            bundle.copy_to(out)
        measured = bench.run(system.command(url_of(given), bundle, out), environment, memory)
        _note(found["systems"][system.name], check(out, system, given, bundle))
        bench.fresh(out.name)
        return measured

    for repetition in range(bench.repetitions):
        for system in systems_of(place):
            record = found["systems"][system.name]
            if record["error"]:
                continue
            try:
                for images, seconds in zip(record["images"], record["seconds"], strict=True):
                    seconds.append(round(run_once(system, bench.input(KIND, images)).seconds, 4))
            except (ProgramError, ScoreError) as error:  # ends this system's part
                record["error"] = str(error)
            say(f"{place} {repetition + 1}/{bench.repetitions}: {system.title}: {_short(record)}")
    for system in systems_of(place):
        record = found["systems"][system.name]
        if not system.module and not record["error"]:
            measured = run_once(system, bench.input(KIND, record["images"][1]), memory=True)
            found["memory"][system.name] = {
                "images": record["images"][1],
                "driver_mb": measured.driver_mb and round(measured.driver_mb, 1),
                "worker_mb": measured.worker_mb and round(measured.worker_mb, 1),
            }
            say(f"{place}: {system.title}: {found['memory'][system.name]}")
    return found


def _new(system: System, place: str, bench: Bench) -> Result:
    return {
        "title": system.title,
        "images": list(scaled(system.sizes[place], bench.scale)),
        "seconds": [[], []],  # of the small runs and of the large ones
        "same_class": None,
        "largest_difference": None,
        "error": None,
    }


def _note(record: Result, agreement: Agreement | None) -> None:
    """Keep the worst that was found of a system."""
    if agreement is not None:
        same, difference = record["same_class"], record["largest_difference"]
        record["same_class"] = min(agreement.same_class, 1.0 if same is None else same)
        record["largest_difference"] = round(max(agreement.largest_difference, difference or 0.0), 5)


def _short(record: Result) -> str:
    if record["error"]:
        return f"failed: {record['error']}"
    (small, large), (few, many) = record["images"], record["seconds"]
    return f"{small} in {few[-1]:.2f} s, {large} in {many[-1]:.2f} s"
