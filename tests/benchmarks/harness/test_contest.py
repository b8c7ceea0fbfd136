"""Contests: every system runs in turn, its output is checked, and a failure ends only its own part."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness.agreement import OutputError
from benchmarks.harness.bench import Bench
from benchmarks.harness.benchmark import failures
from benchmarks.harness.contest import Entry, Rules, hold
from benchmarks.harness.inputs import Input
from benchmarks.harness.systems import System, counts_on, scaled, systems_on

COUNTING = "import os, sys; open(sys.argv[2], 'w').write(str(len(os.listdir(sys.argv[1]))))"
SYSTEMS = (
    System("good", "a good one", {"one": (8, 16), "two": (8, 16)}, "count"),
    System("liar", "one that leaves out an image", {"one": (8, 16)}, "count", "liar"),
    System("broken", "one that ends with an error", {"one": (8, 16)}, "count", "broken"),
)


def test_every_system_runs_on_its_entries_and_the_worst_figure_is_kept(cache: Path, tmp_path: Path) -> None:
    begun: list[tuple[str, str, int]] = []

    def command(system: System, entry: str, given: Input, images: str, out: Path) -> list[str]:
        begun.append((entry, system.name, given.count))
        code = "raise SystemExit('out of memory')" if system.name == "broken" else COUNTING
        return [sys.executable, "-c", code, images, str(out)]

    def check(out: Path, system: System, given: Input) -> dict[str, float]:
        if system.name == "liar":
            raise OutputError("an image is missing")
        assert int(out.read_text()) == given.count
        return {"least": 0.5 + len(begun), "largest": float(given.count)}

    bench = Bench(_copy_of(cache, tmp_path), repetitions=2)
    rules = Rules(SYSTEMS, command, check, {"least": min, "largest": max})
    found = hold(bench, rules, {"one": Entry("the first", "q75"), "two": Entry("the second", "q75")})
    first = [("one", "good", 8), ("one", "good", 16), ("one", "liar", 8), ("one", "broken", 8)]
    second = [("two", "good", 8), ("two", "good", 16)]
    assert begun == [*first, *second, *first[:2], *second], "all entries once, then again; no failure twice"
    good = found["one"]["systems"]["good"]
    assert (good["least"], good["largest"], good["error"]) == (1.5, 16.0, None)
    assert [len(seconds) for seconds in good["seconds"]] == [2, 2]
    assert list(found["two"]["systems"]) == ["good"]
    assert failures({"contest": {"figures": found}, "single": {"figures": found["two"]}}) == [
        "one that leaves out an image on the first: an image is missing",
        "one that ends with an error on the first: out of memory",
    ]


def test_a_trial_still_has_two_sizes() -> None:
    assert scaled((1024, 4096), 1.0) == (1024, 4096)
    small, large = scaled((1024, 4096), 0.001)
    assert 8 <= small < large
    assert [system.name for system in systems_on("two", SYSTEMS)] == ["good"]
    assert counts_on("one", SYSTEMS, 1.0) == [8, 16]


def _copy_of(cache: Path, folder: Path) -> Path:
    """A cache that more files may be made in; the photographs of the other one are not drawn again."""
    (folder / "made-up").symlink_to(cache / "made-up")
    return folder
