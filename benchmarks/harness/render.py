"""Write a benchmark's part of its document, and its plot, from the recorded figures."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.harness.bench import Result
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.inputs import REPOSITORY
from benchmarks.harness.markdown import emptied, put_between


def write(benchmark: Benchmark, into: Path = REPOSITORY) -> None:
    """Render what is recorded below `into` to the document and the plot there.

    Where there is no document it begins as the repository's, with nothing in it that is measured.
    """
    found: Result = json.loads((into / benchmark.record).read_text(encoding="utf-8"))
    for place, render in {benchmark.document: benchmark.render, **benchmark.excerpts}.items():
        document = into / place
        if document.exists():
            before = document.read_text(encoding="utf-8")
        else:
            before = emptied((REPOSITORY / place).read_text(encoding="utf-8"))
        document.parent.mkdir(parents=True, exist_ok=True)
        document.write_text(put_between(before, benchmark.marker, render(found)), encoding="utf-8")
    pictures = (into / benchmark.picture).parent
    pictures.mkdir(parents=True, exist_ok=True)
    benchmark.draw(found, pictures)
    plot = benchmark.plot(found)
    if plot is not None:
        from benchmarks.harness.plot import draw

        draw(plot.entries, into / benchmark.picture, plot.title)
