"""The start benchmark: what it promises, and what it says of a commit that is not there."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Bench
from benchmarks.start.inputs import EARLIER, NOW, trees
from benchmarks.start.render import section
from benchmarks.start.sections.verbs import PLAIN, SERVER

MACHINE = {
    **{"date": "2026-11-28", "processor": "a processor", "cores": 2, "memory_gb": 25.3, "system": "Linux"},
    **{"python": "3.11.7", "libraries": {"prefect": "3.8.8"}},
}


def run(verb: str, way: str, tree: str, *seconds: float) -> dict[str, Any]:
    cpu = [2 * one for one in seconds]
    return {"verb": verb, "way": way, "tree": tree, "seconds": list(seconds), "cpu_seconds": cpu}


def recorded(figures: dict[str, Any]) -> dict[str, Any]:
    return {"machine": MACHINE, "sources": "made-up images", "scale": 1, "repetitions": 3, "figures": figures}


def test_seconds_before_and_now_stand_beside_each_other_and_broken_promises_are_said() -> None:
    idle = "score, nothing new"
    runs = [
        run(idle, PLAIN, EARLIER, 3.9, 4.0, 4.1),
        run(idle, PLAIN, NOW, 1.2, 1.1, 1.3),
        run(idle, SERVER, NOW, 2.9),
    ]
    night = {EARLIER: {"prefect": 2000.4, "pandas": 600.0}, NOW: {"pandas": 610.0}}
    fit = {"import keras": {"tensorflow": 3000.0, "sklearn": 1000.0}, "import_keras()": {"tensorflow": 3000.0}}
    text = section({"verbs": recorded({"runs": runs}), "imports": recorded({"night": night, "fit": fit})})
    assert f"| {idle} |  | 4.00 (3.90-4.10) | 1.20 (1.10-1.30) | 8.00 (7.80-8.20) | 2.40 (2.20-2.60) |" in text
    assert "| `score`, nothing new | at most 1.5 s | 1.20 s | yes |" in text
    assert "| `score`, nothing new: more on a server | at most 1 s | 1.70 s | **no** |" in text
    assert "| `status` | at most 1.5 s | not measured | - |" in text
    assert "| prefect | 2,000 | - |" in text
    assert "| together | 2,600 | 610 |" in text
    assert "| `import keras` | 4,000 | tensorflow, sklearn |" in text


def test_without_its_commit_only_this_tree_is_measured(tmp_path: Path) -> None:
    found = trees(Bench(tmp_path, options=Namespace(before="no-such-commit")))
    assert [*found] == [NOW]
