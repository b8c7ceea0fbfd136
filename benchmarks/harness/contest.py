"""Run every system on every input in turn, several times, with few and with many images."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.agreement import OutputError
from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.inputs import Input
from benchmarks.harness.measure import Measured, ProgramError
from benchmarks.harness.systems import System, counts_on, scaled, systems_on


@dataclass(frozen=True)
class Entry:
    """What systems are compared on.

    Attributes:
        title: for people.
        kind: of the images, a key of KINDS.
        url_of: where an input's images are for the programs.
        environment: what programs need to get there.
    """

    title: str
    kind: str
    url_of: Callable[[Input], str] = lambda given: str(given.images)
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Rules:
    """What holds for all contests of a benchmark.

    Attributes:
        systems: who takes part.
        command: makes ready what a system needs and returns its program, from the system, the entry's key, the
            input, where its images are, and where the output goes.
        check: figures of a system's output, by name; raises OutputError where the job was not done.
        worst: which of two such figures is the worse one, min or max, by name.
    """

    systems: Sequence[System]
    command: Callable[[System, str, Input, str, Path], list[str]]
    check: Callable[[Path, System, Input], Mapping[str, float]]
    worst: Mapping[str, Callable[[float, float], float]]


def hold(bench: Bench, rules: Rules, entries: Mapping[str, Entry]) -> Result:
    """Seconds of each system's small and large runs, and the worst figures of its output, by entry.

    The first repetition of all comes before the second one of any, so that a machine that gets slower or
    faster on the way does so for all of them. A system that fails once does not run again on that entry.
    """
    found = {key: _new(bench, rules, key, entry) for key, entry in entries.items()}
    for repetition in range(bench.repetitions):
        for key, entry in entries.items():
            for system in systems_on(key, rules.systems):
                record = found[key]["systems"][system.name]
                if not record["error"]:
                    _add(bench, rules, key, entry, system, record)
                    say(f"{key} {repetition + 1}/{bench.repetitions}: {system.title}: {_short(record)}")
    return found


def run_once(
    bench: Bench, rules: Rules, key: str, entry: Entry, system: System, images: int, memory: bool = False
) -> tuple[Measured, Mapping[str, float]]:
    """One whole program on so many images, and the figures of its output.

    Raises:
        ProgramError: it ended with an error.
        OutputError: it did not do the job.
    """
    given = bench.input(entry.kind, images)
    out = bench.fresh(f"{system.name}.{system.output}")
    command = rules.command(system, key, given, entry.url_of(given), out)
    measured = bench.run(command, entry.environment, memory)
    figures = rules.check(out, system, given)
    bench.fresh(out.name)
    return measured, figures


def _new(bench: Bench, rules: Rules, key: str, entry: Entry) -> Result:
    most = counts_on(key, rules.systems, bench.scale)[-1]
    largest = bench.input(entry.kind, most, warm=True)
    return {
        "title": entry.title,
        "bytes": statistics.fmean(file.stat().st_size for file in largest.files()),
        "systems": {
            system.name: {
                "title": system.title,
                "images": list(scaled(system.sizes[key], bench.scale)),
                "seconds": [[], []],  # of the small runs and of the large ones
                **dict.fromkeys(rules.worst),
                "error": None,
            }
            for system in systems_on(key, rules.systems)
        },
    }


def _add(bench: Bench, rules: Rules, key: str, entry: Entry, system: System, record: Result) -> None:
    """One small run and one large run, one after the other; a failure ends this system's part."""
    for images, seconds in zip(record["images"], record["seconds"], strict=True):
        try:
            measured, figures = run_once(bench, rules, key, entry, system, images)
        except (ProgramError, OutputError) as error:
            record["error"] = str(error)
            return
        seconds.append(round(measured.seconds, 4))
        for name, figure in figures.items():
            before = record[name]
            record[name] = figure if before is None else rules.worst[name](figure, before)


def _short(record: Result) -> str:
    if record["error"]:
        return f"failed: {record['error']}"
    (small, large), (few, many) = record["images"], record["seconds"]
    return f"{small} in {few[-1]:.2f} s, {large} in {many[-1]:.2f} s"
