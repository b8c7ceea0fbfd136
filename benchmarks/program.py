"""The command line of the benchmarks: sections in turn, figures to JSON after each, then the document."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.bench import Bench, Result, say
from benchmarks.inputs import CACHE, REPOSITORY, source_name
from benchmarks.markdown import DOCUMENT

Section = Callable[[Bench], Result]


@dataclass(frozen=True)
class Program:
    """One benchmark.

    Attributes:
        name: of its module.
        description: for --help.
        sections: what it measures, in order; each can be run alone.
        size: edge of the pixels, px.
        results: where figures go, below the repository.
        write: renders what is recorded below a folder.
        failures: which systems failed, each with its reason.
    """

    name: str
    description: str
    sections: Mapping[str, Section]
    size: int
    results: Path
    write: Callable[[Path], None]
    failures: Callable[[Result], list[str]]


def run(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for. Returns 1 where a system failed, else 0."""
    options = _parser(program).parse_args(arguments)
    trial = options.scale != 1
    repetitions = options.repetitions or (1 if trial else 3)
    bench = Bench(options.cache.resolve(), options.scale, repetitions, program.size)
    into = options.into or (bench.cache / "trial" if trial else REPOSITORY)
    results = into / program.results
    found: Result = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    for name in options.only or program.sections:
        start = time.perf_counter()
        measured = program.sections[name](bench)
        found[name] = {
            "machine": machine.describe(),
            "sources": source_name(),
            "scale": bench.scale,
            "repetitions": bench.repetitions,
            "took_seconds": round(time.perf_counter() - start, 1),
            "figures": measured,
        }
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(bench.work, ignore_errors=True)
    program.write(into)
    say(f"written: {results}, {into / DOCUMENT}")
    failures = program.failures(found)
    for failure in failures:
        say(f"failed: {failure}")
    return 1 if failures else 0


def failed_systems(entries: Sequence[Result]) -> list[str]:
    """Which systems failed on these inputs, each with its reason."""
    return [
        f"{system['title']} on {entry['title']}: {system['error']}"
        for entry in entries
        for system in entry["systems"].values()
        if system["error"]
    ]


def _parser(program: Program) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {program.name}", description=program.description)
    parser.add_argument(
        "--only", action="append", choices=program.sections, help="a section; repeat for several"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all numbers of images")
    parser.add_argument(
        "--repetitions", type=int, help="how often everything is run (default: 3; 1 in a trial)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="where inputs are kept")
    parser.add_argument(
        "--into", type=Path, help="where figures and document go (default: the repository; a trial: the cache)"
    )
    return parser
