"""The command line of every benchmark: run the sections, record the figures, write document and plot."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.benchmark import Benchmark, failures
from benchmarks.harness.inputs import CACHE, REPOSITORY
from benchmarks.harness.render import write


def run(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and write it down. Returns 1 where a system failed, else 0."""
    options = _parser(benchmark).parse_args(arguments)
    trial = options.scale != 1
    repetitions = options.repetitions or (1 if trial else benchmark.repetitions)
    bench = Bench(options.cache.resolve(), options.scale, repetitions, benchmark.size, options)
    into = options.into or (bench.cache / "trial" if trial else REPOSITORY)
    record = into / benchmark.record
    found: Result = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for name in () if options.render else options.only or benchmark.sections:
        found[name] = _measure(benchmark, name, bench)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(bench.work, ignore_errors=True)
    write(benchmark, into)
    say(f"written: {record}, {into / benchmark.document}")
    failed = failures(found)
    for failure in failed:
        say(f"failed: {failure}")
    return 1 if failed else 0


def _measure(benchmark: Benchmark, name: str, bench: Bench) -> Result:
    """The record of one section: its figures, and what they were measured on."""
    start = time.perf_counter()
    figures = benchmark.sections[name](bench)
    return {
        "machine": machine.describe(),
        "sources": benchmark.sources(),
        "scale": bench.scale,
        "repetitions": bench.repetitions,
        "took_seconds": round(time.perf_counter() - start, 1),
        "figures": figures,
    }


def _parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {benchmark.package}",
        description=benchmark.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", action="append", choices=benchmark.sections, help="a section; repeat for several"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all numbers; below 1 it is a trial")
    if benchmark.repetitions > 1:
        parser.add_argument(
            "--repetitions",
            type=int,
            help=f"how often everything is run (default: {benchmark.repetitions}; 1 in a trial)",
        )
    else:
        parser.set_defaults(repetitions=None)
    parser.add_argument("--render", action="store_true", help="measure nothing; write what is recorded")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where inputs are kept")
    parser.add_argument(
        "--into", type=Path, help="where figures and document go (default: the repository; a trial: the cache)"
    )
    benchmark.add_flags(parser)
    return parser
