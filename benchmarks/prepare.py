"""The prepare benchmark: every section in turn, figures to JSON after each, then the document and its plot.

`make bench-prepare` runs it whole. By hand: `python -m benchmarks.prepare --only startup`, or, to see that
everything works, `--scale 0.02`, which writes into the cache and leaves the document alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import machine, render
from benchmarks.bench import Bench, Result, say
from benchmarks.inputs import CACHE, REPOSITORY, source_name
from benchmarks.sections import bucket, fidelity, known, peers, scaling, startup

SECTIONS: Mapping[str, Callable[[Bench], Result]] = {
    "startup": startup.measure,
    "peers": peers.measure,
    "known": known.measure,
    "scaling": scaling.measure,
    "bucket": bucket.measure,
    "fidelity": fidelity.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for. Returns 1 where a system failed, else 0."""
    options = _parser().parse_args(arguments)
    trial = options.scale != 1
    bench = Bench(options.cache.resolve(), options.scale, options.repetitions or (1 if trial else 3))
    into = options.into or (bench.cache / "trial" if trial else REPOSITORY)
    results = into / render.RESULTS
    found: Result = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    for name in options.only or SECTIONS:
        start = time.perf_counter()
        measured = SECTIONS[name](bench)
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
    render.write(into)
    say(f"written: {into / render.RESULTS}, {into / render.DOCUMENT}, {into / render.PLOT}")
    return 1 if failures(found) else 0


def failures(found: Result) -> list[str]:
    """Which systems failed, each with its reason."""
    inputs = found.get("peers", {}).get("figures", {})
    return [
        f"{system['title']} on {entry['title']}: {system['error']}"
        for entry in inputs.values()
        for system in entry["systems"].values()
        if system["error"]
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a section; repeat for several")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all numbers of images")
    parser.add_argument(
        "--repetitions", type=int, help="how often everything is run (default: 3; 1 in a trial)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="where inputs are kept")
    parser.add_argument(
        "--into", type=Path, help="where figures and document go (default: the repository; a trial: the cache)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
