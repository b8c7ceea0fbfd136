"""All benchmarks are of one shape, and their documents say what was recorded."""

from __future__ import annotations

import importlib
import json
import re

import pytest

from benchmarks.harness import markdown
from benchmarks.harness.benchmark import Benchmark
from tests.conftest import REPOSITORY

BENCHMARKS = (
    "prepare",
    "scoring",
    "scale",
    "accuracy",
    "coverage",
    "overhead",
    "start",
    "thesis",
    "gate",
    "models",
    "recipe",
    "training",
)
ALIKE = {
    *("__init__", "__main__", "inputs", "systems", "agreement", "figures", "render"),
    *("sections/__init__", "peers/__init__", "peers/common"),
}
"""What a benchmark's modules are called; further ones are of one section or one peer, or OWN."""
OWN = {"scoring": {"fill", "listing_server"}, "overhead": {"timed"}, "training": {"timed"}}


def benchmark(name: str) -> Benchmark:
    found: Benchmark = importlib.import_module(f"benchmarks.{name}.__main__").BENCHMARK
    return found


def test_every_folder_is_a_benchmark_of_one_shape() -> None:
    folders = {path.parent.name for path in (REPOSITORY / "benchmarks").glob("*/__init__.py")}
    assert folders == {"harness", *BENCHMARKS}
    for name in BENCHMARKS:
        folder = REPOSITORY / "benchmarks" / name
        modules = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.py")}
        assert {"__init__", "__main__", "render", "sections/__init__"} <= modules
        others = {module for module in modules - ALIKE if not module.startswith(("sections/", "peers/"))}
        assert others == OWN.get(name, set())
        sections = {path.stem for path in (folder / "sections").glob("*.py")} - {"__init__"}
        assert sections == set(benchmark(name).sections)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_document_says_what_was_recorded(name: str) -> None:
    one = benchmark(name)
    recorded = (REPOSITORY / one.record).read_text(encoding="utf-8")
    document = (REPOSITORY / one.document).read_text(encoding="utf-8")
    assert markdown.put_between(document, one.marker, one.render(json.loads(recorded))) == document
    for place, render in one.excerpts.items():
        shown = (REPOSITORY / place).read_text(encoding="utf-8")
        assert markdown.put_between(shown, one.marker, render(json.loads(recorded))) == shown
    plotted = one.plot(json.loads(recorded))
    if plotted is not None:
        assert (REPOSITORY / one.picture).read_bytes().startswith(b"\x89PNG")
        assert one.picture.relative_to("docs").as_posix() in document


def test_no_benchmark_imports_another() -> None:
    for name in ("harness", *BENCHMARKS):
        others = "|".join(other for other in BENCHMARKS if other != name)
        imported = re.compile(rf"^\s*(?:from|import) benchmarks\.(?:{others})\b", re.MULTILINE)
        for path in (REPOSITORY / "benchmarks" / name).rglob("*.py"):
            assert not imported.search(path.read_text(encoding="utf-8")), path


def test_modules_say_their_job_and_stay_readable() -> None:
    for path in (REPOSITORY / "benchmarks").rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith('"""'), path
        assert len(lines) <= 300, path


def test_nothing_kept_names_a_machine_and_constraints_hold_versions_only() -> None:
    home = re.compile(r"/(?:home|root|Users|tmp|work)/\w")
    for path in [*(REPOSITORY / "benchmarks/results").iterdir(), REPOSITORY / "docs/benchmarks.md"]:
        assert not home.search(path.read_text(encoding="utf-8")), path
    for line in (REPOSITORY / "benchmarks" / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line), line
