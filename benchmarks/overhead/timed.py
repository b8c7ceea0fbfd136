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


def run(arguments: list[str]) -> dict[str, float]:
    """Run the command line; wall and CPU seconds of the flow and of Dask in it, CPU of the workers."""
    # Here, because every worker process imports this file, as it imports the `skinml` command, which is light.
    from flows import engine
    from flows.cli import main as command_line
    from skinml import compute
    from tasks import shards

    at_work: list[tuple[float, float]] = []
    flow: list[tuple[float, float]] = []
    map_shards, run_flow = compute.map_shards, engine.run

    def timed_shards(*args: Any, **kwargs: Any) -> Iterator[Any]:
        began = _clocks()
        yield from map_shards(*args, **kwargs)
        at_work.append(_since(began))

    def timed_flow(*args: Any, **kwargs: Any) -> dict[str, Any]:
        began = _clocks()
        result = run_flow(*args, **kwargs)
        flow.append(_since(began))
        return result

    with patch.object(shards, "map_shards", timed_shards), patch.object(engine, "run", timed_flow):
        code = command_line.main(arguments)
    if code:
        raise SystemExit(code)
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "flow_seconds": sum(wall for wall, _ in flow),
        "dask_seconds": sum(wall for wall, _ in at_work),
        "flow_cpu_seconds": sum(cpu for _, cpu in flow),
        "dask_cpu_seconds": sum(cpu for _, cpu in at_work),
        "workers_cpu_seconds": workers.ru_utime + workers.ru_stime,
    }


def _clocks() -> tuple[float, float]:
    """Wall time, and CPU time of this process."""
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> tuple[float, float]:
    now = _clocks()
    return now[0] - began[0], now[1] - began[1]


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:])))
