"""Start one run, kill it at a crash point or a moment, and check how it ended."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from skinml.lab.drill import processes
from skinml.lab.drill.compare import Account, Finding, Wrong
from skinml.lab.drill.places import Place, clean_environment
from skinml.lab.drill.plan import Kill, Victim
from skinml.process import interrupts
from skinml.process.crash_points import VARIABLE

HANG_SECONDS = 600.0
"""A run that takes longer than this hangs; each stage retries storage for 42 s."""

LEFT_SECONDS = 20.0
"""How long child processes may outlive their run. Measured: 0.05 s."""

WORKING = 0.3
"""The fraction of a run during which it has workers; most of that is their start-up."""

RUN = re.compile(r" run (score-\S+)$", re.MULTILINE)
RESUMED = re.compile(r" an interrupted run has scored (\d+) of these images")


@dataclass(frozen=True)
class Scene:
    """The setting in which runs are started.

    Attributes:
        place: the site.
        workspace: normalised URL.
        command: program and arguments of the command line.
        workers: Dask workers of a run.
        folder: for logs, and the runs' scratch files.
        seconds: duration of an undisturbed run.
        limit: --limit of a run that must leave images for later ones.
        rng: the source of random numbers.
    """

    place: Place
    workspace: str
    command: Sequence[str]
    workers: int
    folder: Path
    seconds: float
    limit: int
    rng: Random

    def mend(self, outage: float) -> None:
        """Start the S3 server again after this many seconds, if it is down."""
        server = self.place.server
        if server is not None and server.is_dead():
            time.sleep(outage)
            server.restart()


@dataclass(frozen=True)
class Started:
    """A running run: its process and name, its files, and what to do while waiting for it."""

    process: subprocess.Popen[bytes]
    name: str
    log: Path
    out: Path
    order: Path
    meanwhile: Callable[[], None]


@dataclass(frozen=True)
class Ended:
    """A run that has ended.

    Attributes:
        account: what is known about it.
        hit: whether the kill happened as planned.
        session: the session id of its processes.
        findings: what is wrong.
        resumed: images of an interrupted run that it found before it was killed.
    """

    account: Account
    hit: bool
    session: int
    findings: Sequence[Finding]
    resumed: int = 0


def one_run(scene: Scene, name: str, kill: Kill | None = None, backfill: bool = False) -> Ended:
    """Run once, with a kill or undisturbed; a backfill if asked, or if the kill is of one."""
    with begin(scene, name, kill, backfill) as started:
        struck = strike(scene, started, kill)
        return _finish(scene, started, kill, struck, alone=True)


def two_runs(scene: Scene, names: tuple[str, str], kill: Kill | None) -> list[Ended]:
    """Start two runs at the same time; a kill is for the first one."""
    with begin(scene, names[0], kill) as first, begin(scene, names[1], None) as second:
        struck = strike(scene, first, kill)
        return [
            _finish(scene, first, kill, struck, alone=False),
            _finish(scene, second, None, False, alone=False),
        ]


@contextmanager
def begin(scene: Scene, name: str, kill: Kill | None, backfill: bool = False) -> Iterator[Started]:
    """Start a run and order a kill at a crash point. If the drill itself fails, the run is ended."""
    order = scene.folder / f"{name}.order"
    environment = clean_environment(scene.folder, scene.place.environment)
    if kill is not None and kill.point is not None:
        environment[VARIABLE] = f"{kill.point}:{order}"
    command = [*scene.command, "--workspace", scene.workspace, "score", "--archive", scene.place.archive]
    command += ["--workers", str(scene.workers)]
    if kill is not None and kill.limited:
        command += ["--limit", str(scene.limit)]
    if backfill or (kill is not None and kill.backfill):
        command.append("--backfill")
    log, out = scene.folder / f"{name}.log", scene.folder / f"{name}.json"
    started = None
    try:
        with interrupts.deferred():  # otherwise a signal could leave an unknown run behind
            process = started = processes.start(command, environment, log, out)
        if kill is not None and kill.point is not None:  # long before the run gets to any point
            order.write_text(_victim(scene, kill, process.pid), encoding="ascii")
        meanwhile = partial(scene.mend, 0.0 if kill is None else kill.outage)
        yield Started(process, name, log, out, order, meanwhile)
    except BaseException:
        for pid in [] if started is None else processes.members(started.pid):
            processes.kill(pid)
        raise


def _victim(scene: Scene, kill: Kill, flow: int) -> str:
    """Return the process id for the order, or "" for any process that passes the point."""
    if kill.victim is Victim.STORE and scene.place.server is not None:
        return str(scene.place.server.process.pid)
    return str(flow) if kill.victim is Victim.FLOW else ""


def strike(scene: Scene, started: Started, kill: Kill | None) -> bool:
    """Wait for the moment of a kill, if it has one, and kill; False if the run ended before."""
    if kill is None or kill.point is not None:
        return False
    seconds = kill.moment * scene.seconds
    if kill.victim is Victim.WORKER:
        while not processes.workers(started.process.pid):
            if processes.wait(started.process, 0, started.meanwhile) is not None:
                return False
        seconds *= WORKING
    if processes.wait(started.process, seconds, started.meanwhile) is not None:
        return False
    if kill.victim is Victim.WORKER:
        workers = processes.workers(started.process.pid)
        return bool(workers) and processes.kill(scene.rng.choice(workers))
    if kill.victim is Victim.STORE and scene.place.server is not None:
        return processes.kill(scene.place.server.process.pid)
    return processes.kill(started.process.pid)


def _finish(scene: Scene, started: Started, kill: Kill | None, struck: bool, alone: bool) -> Ended:
    code = processes.wait(started.process, HANG_SECONDS, started.meanwhile)
    hangs = code is None
    if code is None:
        started.process.kill()
        code = started.process.wait()
    started.meanwhile()
    log = started.log.read_text("utf-8", "replace")
    hit = struck
    if kill is not None and kill.point is not None:
        hit = not started.order.exists()
    if kill is not None and kill.victim is Victim.FLOW and kill.point is None:
        hit = code == -signal.SIGKILL and not hangs
    account = Account(
        started.name,
        found[1] if (found := RUN.search(log)) else None,
        code,
        _result(started.out) if code == 0 else None,
        alone and not hit and code == 0,
        code >= 0 or (hit and kill is not None and kill.point is not None),
    )
    findings = [
        Finding(Wrong.UNEXPLAINED, 1, f"{started.name}: {text}; see {started.log}")
        for text in judge(code, log, kill, hit, hangs)
    ]
    resumed = int(found[1]) if (found := RESUMED.search(log)) else 0
    return Ended(account, hit, started.process.pid, findings, resumed)


def judge(code: int, log: str, kill: Kill | None, hit: bool, hangs: bool) -> Iterator[str]:
    """Yield what is wrong with how a run ended, apart from the effects of its kill."""
    if hangs:
        yield f"was still running after {HANG_SECONDS:.0f} s"
        return
    if kill is not None and kill.point is not None and not hit:
        yield f"never passed crash point {kill.point}"
    allowed = {0}
    if hit and kill is not None:
        allowed = {Victim.FLOW: {-signal.SIGKILL}, Victim.WORKER: {0}, Victim.STORE: {0, 1}}[kill.victim]
    said = log.strip().splitlines()
    if code not in allowed:
        yield f"exit code {code}: {said[-1] if said else 'it printed nothing'}"
    elif code == 1 and not said[-1:][0].startswith("skinml: "):
        yield f"failed without an error message: {said[-1:]}"
    if "Traceback (most recent call last)" in log:
        yield f"a traceback: {next(line for line in reversed(said) if not line.startswith((' ', 'skinml:')))}"


def _result(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.read_text("utf-8").splitlines()[-1])
    return found


def end_sessions(ended: Sequence[Ended]) -> Iterator[Finding]:
    """Check that no processes of the runs are left; kill those that are."""
    for run in ended:
        left = processes.wait_until_gone(run.session, LEFT_SECONDS)
        if left:
            text = f"{run.account.label}: {len(left)} of its processes were alive {LEFT_SECONDS:.0f} s later"
            yield Finding(Wrong.UNEXPLAINED, len(left), text)
