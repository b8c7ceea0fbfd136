"""The prepare benchmark's part of the document: every promise, every failure, and what is only a trial."""

from __future__ import annotations

import json
import re
from pathlib import Path

from PIL import Image

from benchmarks.harness.bench import Result
from benchmarks.harness.benchmark import failures
from benchmarks.harness.render import write
from benchmarks.prepare import figures, render
from benchmarks.prepare.__main__ import BENCHMARK
from tests.conftest import REPOSITORY

RECORDED: Result = json.loads((REPOSITORY / BENCHMARK.record).read_text(encoding="utf-8"))
DOCUMENT = (REPOSITORY / BENCHMARK.document).read_text(encoding="utf-8")


def test_every_promise_is_shown_and_what_was_not_measured_is_not_kept() -> None:
    promises = figures.targets({})
    assert len(promises) == 14
    assert {one.met for one in promises} == {None}
    for one in promises:
        assert one.promised in DOCUMENT


def test_a_system_that_failed_is_named_in_table_and_exit_code() -> None:
    record: Result = {
        "title": "a peer",
        "images": [8, 16],
        "seconds": [[], []],
        "psnr_db": None,
        "error": "out of memory",
    }
    entry = {"title": "an input", "bytes": 24_000.0, "systems": {"peer": record}}
    found = {**RECORDED, "peers": {**RECORDED["peers"], "figures": {"q75": entry}}}
    assert failures(found) == ["a peer on an input: out of memory"]
    assert "failed: out of memory" in render.section(found)


def test_a_trial_is_called_one() -> None:
    found = {name: {**part, "scale": 1.0} for name, part in RECORDED.items()}
    assert "not a measurement" not in render.section(found)
    assert re.search(r"\| (yes|\*\*no\*\*) \|", render.section(found))
    found["known"] = {**found["known"], "scale": 0.5}
    assert "not a measurement**: known" in render.section(found)
    assert not re.search(r"\| (yes|\*\*no\*\*) \|", render.section(found)), "no promise is judged by a trial"


def test_each_section_alone_makes_a_document() -> None:
    for name, part in RECORDED.items():
        assert "### What was promised" in render.section({name: part})


def test_the_whole_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / BENCHMARK.record).parent.mkdir(parents=True)
    (tmp_path / BENCHMARK.record).write_text(json.dumps(RECORDED), encoding="utf-8")
    write(BENCHMARK, tmp_path)
    first = (tmp_path / BENCHMARK.document).read_text(encoding="utf-8")
    assert "## Preparing" in first
    assert "## Scoring" not in first, "figures of other benchmarks are none of this one's"
    write(BENCHMARK, tmp_path)
    assert (tmp_path / BENCHMARK.document).read_text(encoding="utf-8") == first
    with Image.open(tmp_path / BENCHMARK.picture) as plot:
        assert plot.width > 600
