"""The description of a benchmark: its sections, and the documents that its results go to."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness.bench import Bench, Result
from benchmarks.harness.inputs import source_name

DOCUMENT = Path("docs/benchmarks.md")
"""Where most of them are shown."""

Section = Callable[[Bench], Result]


@dataclass(frozen=True)
class Plot:
    """The entries of contests that are drawn, one panel each."""

    title: str
    entries: Result


def no_plot(found: Result) -> Plot | None:
    """For a benchmark that compares nothing."""
    return None


def no_pictures(found: Result, folder: Path) -> None:
    """For a benchmark that draws no pictures of its own."""


def no_flags(parser: argparse.ArgumentParser) -> None:
    """For a benchmark with no flags of its own."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        package: its folder, `python -m PACKAGE`.
        description: for --help.
        name: of its record and of its plot.
        sections: what it measures, in order; each can be run alone.
        size: edge of the pixels, px.
        render: its part of the document, from everything that is recorded.
        marker: what encloses that part in the document.
        document: where that is, below the repository.
        excerpts: other documents, with the part of each between the same marker.
        plot: what is drawn, from everything that is recorded.
        draw: draws pictures of its own into a folder, from everything that is recorded.
        repetitions: how often everything is run; 1 for a benchmark that cannot repeat.
        sources: what its inputs are made from.
        add_flags: adds flags of its own, which sections find in Bench.options.
    """

    package: str
    description: str
    name: str
    sections: Mapping[str, Section]
    size: int
    render: Callable[[Result], str]
    marker: str
    document: Path = DOCUMENT
    excerpts: Mapping[Path, Callable[[Result], str]] = field(default_factory=dict)
    plot: Callable[[Result], Plot | None] = no_plot
    draw: Callable[[Result, Path], None] = no_pictures
    repetitions: int = 3
    sources: Callable[[], str] = source_name
    add_flags: Callable[[argparse.ArgumentParser], None] = no_flags

    @property
    def record(self) -> Path:
        """Where its figures are kept, below the repository."""
        return Path(f"benchmarks/results/{self.name}.json")

    @property
    def picture(self) -> Path:
        """Where its plot is, below the repository."""
        return Path(f"docs/benchmarks/{self.name}.png")


def failures(found: Result) -> list[str]:
    """Which systems failed in any contest that is recorded, each with its reason."""
    return [
        f"{system['title']} on {entry['title']}: {system['error']}"
        for part in found.values()
        for entry in _entries(part["figures"])
        for system in entry["systems"].values()
        if system["error"]
    ]


def _entries(figures: Result) -> Iterator[Result]:
    """The entries of a section that is a contest: itself, or all that it holds."""
    for one in (figures, *figures.values()):
        if isinstance(one, dict) and "systems" in one:
            yield one
