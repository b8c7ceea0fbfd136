"""The overhead benchmark: what it times, and what it calls overhead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness.bench import Bench
from benchmarks.harness.bundle import Bundle
from benchmarks.overhead.__main__ import BENCHMARK
from benchmarks.overhead.render import section, share, share_of_cpu
from benchmarks.overhead.sections.night import runs
from flows.server import Server
from tests.conftest import REPOSITORY

RUN = {
    "images": 50_000,
    "way": "plain",
    "program_seconds": 105.0,
    "flow_seconds": 100.0,
    "dask_seconds": 96.0,
    "flow_cpu_seconds": 10.0,
    "dask_cpu_seconds": 6.0,
    "workers_cpu_seconds": 190.0,
}


def test_what_is_not_the_work_of_dask_is_overhead() -> None:
    assert round(share(RUN), 6) == 0.04
    assert round(share_of_cpu(RUN, cores=2), 6) == round(4 / (4 + 98), 6)


def test_a_promise_that_is_broken_is_said() -> None:
    recorded = json.loads((REPOSITORY / BENCHMARK.record).read_text(encoding="utf-8"))["night"]
    slow = {**RUN, "way": "Prefect", "dask_seconds": 94.0}
    text = section(
        {
            "night": {
                **recorded,
                "scale": 1,
                "machine": {**recorded["machine"], "cores": 2},
                "figures": {"runs": [RUN, slow]},
            }
        }
    )
    assert "| 50,000 | without Prefect | 105.00 | 100.00 | 96.00 | 4.00 | 4.0 | 4.00 | 3.9 |" in text
    assert "on a Prefect server: beside Dask's work | less than 5 % | 6.0 % | **no** |" in text


@pytest.mark.drill
def test_both_ways_are_timed(prefect_server: Server, trained: Path, tmp_path: Path) -> None:
    [manifest] = (trained / "models").glob("*/*/manifest.json")
    found = runs(Bench(tmp_path), Bundle(trained, manifest.parent), prefect_server.url, [9])
    assert [(one["images"], one["way"]) for one in found] == [(9, "plain"), (9, "Prefect")]
    for one in found:
        assert 0 < one["dask_seconds"] < one["flow_seconds"] < one["program_seconds"]
        assert 0 < one["dask_cpu_seconds"] < one["flow_cpu_seconds"]
        assert one["workers_cpu_seconds"] > 0
