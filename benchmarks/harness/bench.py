"""The settings of a section: folders, number of images, and how to run one program."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.inputs import KINDS, REPOSITORY, Input, make_input
from benchmarks.harness.measure import TIMEOUT_SECONDS, Measured, clean_environment, run

Result = dict[str, Any]
"""What a section measured, as JSON: raw times and counts; ratios are made when it is rendered."""


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks.

    Attributes:
        cache: where inputs are kept.
        scale: factor of all numbers of images; less than 1 is a trial, not a measurement.
        repetitions: how often everything is run.
        size: edge of the pixels, px.
        options: the flags of the command line, for a benchmark that has flags of its own.
    """

    cache: Path
    scale: float = 1.0
    repetitions: int = 3
    size: int = 64
    options: Namespace = field(default_factory=Namespace)

    @property
    def work(self) -> Path:
        """Where programs write; emptied before each of them."""
        return self.cache / "work"

    def count(self, images: int) -> int:
        """A number of images, at this scale."""
        return max(8, round(images * self.scale))

    def input(self, kind: str, count: int, warm: bool = False) -> Input:
        """A folder of so many images; read once where it is said so, that nobody pays for a cold disk."""
        given = make_input(KINDS[kind], count, self.cache)
        if warm:
            for file in given.files():
                file.read_bytes()
        return given

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the programs: nothing of the developer's own."""
        return clean_environment(self.cache / "prefect", more)

    def fresh(self, name: str) -> Path:
        """A place that does not exist yet, for one program's output."""
        place = self.work / name
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        return place

    def run(
        self,
        command: Sequence[str],
        more: Mapping[str, str] | None = None,
        memory: bool = False,
        limit: float = TIMEOUT_SECONDS,
    ) -> Measured:
        """Run one program from the repository, for at most `limit` seconds."""
        self.work.mkdir(parents=True, exist_ok=True)
        return run(command, self.environment(more), REPOSITORY, self.work / "program.log", memory, limit)


def answer(measured: Measured) -> Result:
    """The JSON object that ends the stdout of `skinml --json`."""
    found: Result = json.loads(measured.stdout.splitlines()[-1])
    return found


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)
