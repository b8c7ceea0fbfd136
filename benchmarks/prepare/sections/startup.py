"""What a verb costs before its first image: `prepare` on a handful, without and with a Prefect server."""

from __future__ import annotations

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.inputs import Input
from benchmarks.harness.systems import skinml_prepare
from flows.server import free_port, prefect_server

IMAGES = 16


def measure(bench: Bench) -> Result:
    """Seconds of whole runs over IMAGES images; the server is up and answers before its runs begin."""
    given = bench.input("q75", IMAGES)
    without = [_run(bench, given, {}) for _ in range(bench.repetitions)]
    with prefect_server(bench.fresh("prefect-server"), free_port()) as server:
        server.wait_until_ready()
        _run(bench, given, {"PREFECT_API_URL": server.url})  # the first flow run ever fills its database
        served = [_run(bench, given, {"PREFECT_API_URL": server.url}) for _ in range(bench.repetitions)]
    say(f"startup: {without} s without a server, {served} s with one")
    return {"images": IMAGES, "without_server": without, "with_server": served}


def _run(bench: Bench, given: Input, more: dict[str, str]) -> float:
    workspace = bench.fresh("workspace")
    command = skinml_prepare(workspace, str(given.images), given.metadata, bench.size)
    return round(bench.run(command, more).seconds, 4)
