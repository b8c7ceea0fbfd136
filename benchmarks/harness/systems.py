"""The systems that a benchmark compares: name, output, and number of images of its two runs.

A system's rate is the slope between its two runs, so the large one must last some seconds longer than the
small one: hence other sizes for faster systems.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Sizes = tuple[int, int]

US = "skinml"
LIMIT = "limit"


@dataclass(frozen=True)
class System:
    """One way of doing the job.

    Attributes:
        name: short, a key of the results.
        title: for people.
        sizes: images of the small and the large run, by entry: a kind of input, or where the images are.
        output: what it leaves, a key of its benchmark's READERS.
        module: of its benchmark's peers; empty for skinml itself.
        flags: further arguments, by entry or for all others ("").
    """

    name: str
    title: str
    sizes: Mapping[str, Sizes]
    output: str
    module: str = ""
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def flags_on(self, entry: str) -> tuple[str, ...]:
        """Its further arguments on this entry."""
        return self.flags.get(entry, self.flags.get("", ()))


def systems_on(entry: str, systems: Iterable[System]) -> list[System]:
    """Those that are compared on this entry."""
    return [system for system in systems if entry in system.sizes]


def counts_on(entry: str, systems: Iterable[System], scale: float) -> list[int]:
    """The numbers of images that the systems run on, each once, ascending."""
    return sorted({count for one in systems_on(entry, systems) for count in scaled(one.sizes[entry], scale)})


def scaled(sizes: Sizes, scale: float) -> Sizes:
    """The two sizes for a trial run: smaller, but still two."""
    small = max(8, round(sizes[0] * scale))
    return small, max(small + 8, round(sizes[1] * scale))


def peer(package: str, module: str, images: str, out: Path, *more: str) -> list[str]:
    """The command line of a benchmark's peer: see `benchmarks.harness.job`."""
    program = [sys.executable, "-m", f"{package}.peers.{module}"]
    return [*program, "--images", images, "--out", str(out), *more]


def skinml(workspace: Path, verb: str, *flags: str) -> list[str]:
    """The command line of a verb, whose result is JSON."""
    program = [sys.executable, "-m", "skinml", "--json", "--workspace", str(workspace)]
    return [*program, verb, *flags]


def skinml_prepare(workspace: Path, images: str, metadata: Path, size: int, *more: str) -> list[str]:
    """The command line of `skinml prepare`."""
    flags = ["--images", images, "--metadata", str(metadata), "--size", str(size), *more]
    return skinml(workspace, "prepare", *flags)
