"""Every system on every kind of input, from a folder."""

from __future__ import annotations

from benchmarks.harness.bench import Bench, Result
from benchmarks.harness.contest import Entry, hold
from benchmarks.harness.inputs import KINDS
from benchmarks.prepare.systems import rules


def measure(bench: Bench) -> Result:
    """Seconds of each system's small and large runs, and how near its pixels are to Pillow's, by kind."""
    return hold(bench, rules(bench), {kind.name: Entry(kind.title, kind.name) for kind in KINDS.values()})
