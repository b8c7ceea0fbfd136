"""The score benchmark's part of the document: every system, every night, every promise, every failure."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.harness import markdown
from benchmarks.harness.bench import Result
from benchmarks.harness.benchmark import failures
from benchmarks.harness.figures import ratio, speeds
from benchmarks.harness.render import write
from benchmarks.harness.systems import LIMIT, US, systems_on
from benchmarks.scoring import figures, render
from benchmarks.scoring.__main__ import BENCHMARK
from benchmarks.scoring.systems import SYSTEMS

SCALE = {
    "machine": {
        **{"processor": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11"},
        **{"libraries": {"skinml": "0.1.0"}, "date": "2026-11-24"},
    },
    **{"sources": "made-up images", "scale": 1.0, "repetitions": 3, "took_seconds": 1.0},
}


def _made_up() -> Result:
    """Figures of every section, as a run would leave them."""

    def contest(place: str) -> Result:
        systems = {
            one.name: {
                **{"title": one.title, "images": [100, 1_100], "seconds": [[1.0], [2.0 + number]]},
                **{"same_class": 0.975, "largest_difference": 0.07, "error": None},
            }
            for number, one in enumerate(systems_on(place, SYSTEMS))
        }
        memory = {US: {"images": 1_100, "driver_mb": 250.0, "worker_mb": 220.0}}
        return {"title": f"from a {place}", "bytes": 24_000.0, "systems": systems, "memory": memory}

    night = {"seconds": [3.0], "listing": [0.1], "driver_mb": [240.0]}
    rows = [{"objects": 0, **night}, {"objects": 1_000_000, **night, "seconds": [25.0], "listing": [20.1]}]
    known = {"page_ms": 20, "places": dict.fromkeys(("real", "paced", "unpaced"), rows)}
    alone = {"flop": 112_000_000, "fp32": [1_120.0], "int8": [400.0], "matrices": [125.0]}
    found = {"network": alone, "folder": contest("folder"), "bucket": contest("bucket"), "known": known}
    return {name: {**SCALE, "figures": part} for name, part in found.items()}


def test_the_section_shows_every_system_every_night_and_every_promise(tmp_path: Path) -> None:
    (tmp_path / BENCHMARK.record).parent.mkdir(parents=True)
    (tmp_path / BENCHMARK.record).write_text(json.dumps(_made_up()), encoding="utf-8")
    write(BENCHMARK, tmp_path)
    document = (tmp_path / BENCHMARK.document).read_text(encoding="utf-8")
    assert markdown.put_between(document, "score", render.section(_made_up())) == document
    for system in SYSTEMS:
        assert document.count(system.title) >= len(system.sizes)
    assert "| simulated, 20 ms a page | 1,000,000 | 25.00 | 20.10 | 22.0 | 20.0 | 1.10 x | 240 |" in document
    folder = speeds(_made_up()["folder"]["figures"])
    ahead = [markdown.times(ratio(folder[LIMIT], folder[peer])) for peer in ("tf_data", "ray_data")]
    said = f"is itself {ahead[0]} tf.data + Keras and {ahead[1]} Ray Data:"
    assert said in " ".join(document.split())
    assert "| the network in fp32 | 1,120 | 893 | 100 |" in document
    assert "In fp32 it makes them at 0.80 times the rate" in " ".join(document.split())
    assert document.count("| yes |") + document.count("| **no** |") == len(figures.targets(_made_up())) == 8
    assert (tmp_path / BENCHMARK.picture).read_bytes().startswith(b"\x89PNG")
    assert {one.met for one in figures.targets({})} == {None}


def test_each_section_alone_makes_a_document() -> None:
    for name, part in _made_up().items():
        assert "### What was promised" in render.section({name: part})


def test_a_system_that_failed_is_named_in_table_and_exit_code() -> None:
    found = _made_up()
    found["folder"]["figures"]["systems"]["thesis"]["error"] = "out of memory"
    assert failures(found) == ["the thesis script on from a folder: out of memory"]
    assert "| failed: out of memory |" in render.section(found)
