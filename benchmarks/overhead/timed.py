"""Runs `skinml ARGUMENTS`, and prints how long the flow took and how long of that Dask was at work.

    python -m benchmarks.overhead.timed --workspace W score --archive A

Dask is at work from the first shard that is handed out to the last one that comes back. Starting its workers is
not: that is overhead, like listing, comparing, committing, and all that Prefect does.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from flows import engine
from flows.cli import main as command_line
from skinml import compute
from tasks import shards


def run(arguments: list[str]) -> dict[str, float]:
    """Run the command line; seconds of the flow and of Dask, and CPU seconds here and of the workers."""
    at_work: list[float] = []
    flow: list[float] = []
    map_shards, run_flow = compute.map_shards, engine.run

    def timed_shards(*args: Any, **kwargs: Any) -> Iterator[Any]:
        began = time.perf_counter()
        yield from map_shards(*args, **kwargs)
        at_work.append(time.perf_counter() - began)

    def timed_flow(*args: Any, **kwargs: Any) -> dict[str, Any]:
        began = time.perf_counter()
        result = run_flow(*args, **kwargs)
        flow.append(time.perf_counter() - began)
        return result

    with patch.object(shards, "map_shards", timed_shards), patch.object(engine, "run", timed_flow):
        code = command_line.main(arguments)
    if code:
        raise SystemExit(code)
    return {
        "flow_seconds": sum(flow),
        "dask_seconds": sum(at_work),
        "driver_cpu_seconds": _cpu(resource.RUSAGE_SELF),
        "workers_cpu_seconds": _cpu(resource.RUSAGE_CHILDREN),
    }


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:])))
