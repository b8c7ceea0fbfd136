"""The part of docs/benchmarks.md about starting, from recorded figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target, at_most, spread_of
from benchmarks.harness.markdown import machine, number, paragraph, promises, table, trial_warning
from benchmarks.start.inputs import EARLIER, NEW_IMAGES, NOW
from benchmarks.start.sections.verbs import PLAIN, SERVER

IDLE_SECONDS, FEW_SECONDS, SERVER_SECONDS = 1.5, 2.5, 1.0

IDLE, FEW = "score, nothing new", f"score, {NEW_IMAGES} new images"

SHOWN = 12
"""Libraries that have a row of their own."""

INTRODUCTION = """\
`make bench-start` runs whole programs that have nothing or little to do, so that their time is start-up. Each
runs from this tree and from the last commit that loaded Prefect without a server, in turn. Seconds are medians,
with the lowest and the highest. CPU seconds, with those of workers, change less if the machine is busy.
"""

IMPORTS = """\
Milliseconds that the modules of each library take to import, without those that they import in turn, in one run
of `score` with nothing new (`python -X importtime`, which itself makes imports slower):
"""

FIT = """\
The same for Keras in a training process, as `import keras` loads it and as skinml does
(`skinml/models/keras_import.py`), total milliseconds:
"""


def section(found: Result) -> str:
    """What was promised, each verb, and where the time goes."""
    runs: list[Result] = found["verbs"]["figures"]["runs"]
    return "\n\n".join(
        [
            "## Start: what a run costs that has nothing to do",
            *trial_warning(found),
            paragraph(INTRODUCTION),
            promises(found, _targets(runs)),
            _verbs(runs),
            paragraph(IMPORTS),
            _night(found["imports"]["figures"]["night"]),
            paragraph(FIT),
            _fit(found["imports"]["figures"]["fit"]),
            machine(found),
        ]
    )


def _targets(runs: list[Result]) -> Iterator[Target]:
    seconds = {
        (run["verb"], run["way"]): statistics.median(run["seconds"]) for run in runs if run["tree"] == NOW
    }
    yield at_most("`status`", IDLE_SECONDS, seconds.get(("status", PLAIN)), "s", 2)
    for verb, most in ((IDLE, IDLE_SECONDS), (FEW, FEW_SECONDS)):
        plain, server = seconds.get((verb, PLAIN)), seconds.get((verb, SERVER))
        yield at_most(f"`score`, {verb.partition(', ')[2]}", most, plain, "s", 2)
        more = None if plain is None or server is None else server - plain
        yield at_most(f"`score`, {verb.partition(', ')[2]}: more on a server", SERVER_SECONDS, more, "s", 2)


def _verbs(runs: list[Result]) -> str:
    by_tree = {(run["verb"], run["way"], run["tree"]): run for run in runs}
    rows = []
    for verb, way in dict.fromkeys((run["verb"], run["way"]) for run in runs):
        trees = [by_tree.get((verb, way, tree)) for tree in (EARLIER, NOW)]
        shown = [
            "-" if one is None else spread_of(one[what]) for what in ("seconds", "cpu_seconds") for one in trees
        ]
        rows.append((verb, "on a Prefect server" if way == SERVER else "", *shown))
    return table(("", "", "before, s", "now, s", "CPU before, s", "CPU now, s"), rows)


def _night(imports: Mapping[str, Mapping[str, float]]) -> str:
    before, now = imports.get(EARLIER, {}), imports[NOW]
    libraries = sorted({*before, *now}, key=lambda name: -max(before.get(name, 0.0), now.get(name, 0.0)))
    rows: list[tuple[str, ...]] = [
        (name, number(before.get(name)), number(now.get(name))) for name in libraries[:SHOWN]
    ]
    rest = [sum(one.get(name, 0.0) for name in libraries[SHOWN:]) for one in (before, now)]
    rows.append(("all others", *map(number, rest)))
    rows.append(("together", *(number(sum(one.values())) for one in (before, now))))
    return table(("library", "before, ms", "now, ms"), rows)


def _fit(imports: Mapping[str, Mapping[str, float]]) -> str:
    return table(
        ("", "ms", "with"),
        [(f"`{name}`", number(sum(one.values())), ", ".join(list(one)[:6])) for name, one in imports.items()],
    )
