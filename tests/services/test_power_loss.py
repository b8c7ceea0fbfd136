"""Power is lost in a scheduled night, with server, worker and flow at once: the next scheduled night scores.

The drill: `make drill-schedule`. Each case waits for schedules, and takes a minute or two.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from flows.server import Server, free_port
from flows.server import prefect_server as start_prefect_server
from skinml import tables
from skinml.process.crash_points import VARIABLE
from skinml.records.rows import DIED
from tests.conftest import MadeUp
from tests.services.deployed import OFTEN, Installation, install, nights, some_images
from tests.services.processes import wait_for

MAX_SECONDS = 240.0
"""Seconds for a scheduled night: it is due every 20 s, and takes 10 s on an idle machine."""


@pytest.mark.drill
@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", ["PENDING", "RUNNING", "before the commit", "after the commit"])
def test_the_night_after_a_power_loss_scores(
    moment: str, trained: Path, made_up: MadeUp, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    installed = install(tmp_path, trained, made_up, some_images(jpeg, 30), cron=OFTEN)
    home, port, order = tmp_path / "prefect", free_port(), tmp_path / "order"
    point = {"before the commit": 7, "after the commit": 8}.get(moment)
    more = {} if point is None else {VARIABLE: f"{point}:{order}"}
    order.touch()

    with start_prefect_server(home, port) as server:
        server.wait_until_ready()
        installed.deploy(server)
        with installed.worker(server, **more) as worker:
            dead = _wait_for_moment(server, order, moment)
            _lose_power(worker, server.process)
    begun = time.monotonic()

    with start_prefect_server(home, port) as server:
        server.wait_until_ready()
        [left] = nights(server, flow_runs={"id": {"any_": [dead]}})
        (installed.archive / "tonight.jpg").write_bytes(jpeg(1000))
        with installed.worker(server):
            wait_for(lambda: _scored(installed) == 30, MAX_SECONDS, "the night after the power loss")
            seconds = time.monotonic() - begun
            wait_for(lambda: len(_completed(server)) >= 2, MAX_SECONDS, "two more nights")
        [now] = nights(server, flow_runs={"id": {"any_": [dead]}})
    scores = tables.read(str(installed.workspace), "scores").to_pandas()
    quarantine = tables.read(str(installed.workspace), "quarantine").to_pandas()
    assert (len(scores), scores["uri"].nunique(), len(quarantine)) == (30, 30, 1)
    runs = tables.read(str(installed.workspace), "runs").to_pandas()
    # The dead run's row is written by the first run that sees that it is dead; the last night may end with the
    # worker.
    failed = runs[runs["status"] != "completed"]["error"]
    assert failed.str.match(rf"{DIED}|ended by SIG").all(), failed.tolist()
    print(
        f"\n{moment}: the dead run was {left['state_name']} after the restart, {now['state_name']} later; all"
        f" scored {seconds:.0f} s after the power loss: {len(scores)} rows, {scores['uri'].nunique()} images,"
        f" {len(quarantine)} in quarantine; {len(runs)} rows in runs"
    )


def _wait_for_moment(server: Server, order: Path, moment: str) -> str:
    """Wait until a scheduled night is there. Its id."""
    found: list[str] = []

    def there() -> bool:
        states = {
            run["state_type"]: run["id"]
            for run in nights(server, limit=10)
            if run["start_time"] or moment == "PENDING"
        }
        if moment in ("PENDING", "RUNNING"):
            found.extend([states[moment]] if moment in states else [])
        elif not order.exists():  # a crash point has taken it: the flow is dead, the rest has a moment to live
            found.extend(states.values())
        return bool(found)

    wait_for(there, MAX_SECONDS, f"a night that is {moment}")
    return found[0]


def _lose_power(*processes: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the processes and all that they started."""
    victims = [psutil.Process(process.pid) for process in processes]
    victims += [child for victim in victims for child in victim.children(recursive=True)]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    psutil.wait_procs(victims, timeout=30)


def _scored(installed: Installation) -> int:
    place = str(installed.workspace)
    return tables.read(place, "scores").num_rows if tables.version(place, "scores") else 0


def _completed(server: Server) -> list[str]:
    return [run["id"] for run in nights(server, limit=50) if run["state_type"] == "COMPLETED"]
