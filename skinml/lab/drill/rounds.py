"""Play a round: several kills in a new workspace, undisturbed runs, and the comparison."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from skinml.errors import RunError
from skinml.lab.drill.compare import Finding, State, Wrong, compare, read_state
from skinml.lab.drill.kills import Ended, Scene, end_sessions, one_run, two_runs
from skinml.lab.drill.places import (
    Place,
    discard_workspace,
    keep_workspace,
    make_workspace,
    wait_for_server,
)
from skinml.lab.drill.plan import LEAVES_RECORDS, Kill, Round, Victim
from skinml.lab.drill.promotion import copy_champion, promote
from skinml.records.quarantine import RETRIED

PROMOTED = "20990101T000000Z-000000"
"""The version that is promoted in a round: a copy of the first champion."""


@dataclass(frozen=True)
class Setting:
    """What all rounds share.

    Attributes:
        command: program and arguments of the command line, up to the workspace.
        bundle: the champion's files, with the layout of models/.
        archive: folder with the synthetic images.
        images: number of images.
        folder: gets a sub-folder for each round.
        workers: Dask workers of a run.
    """

    command: Sequence[str]
    bundle: Path
    archive: Path
    images: int
    folder: Path
    workers: int


@dataclass(frozen=True)
class Undisturbed:
    """The state after an undisturbed run, and its duration."""

    state: State
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """The outcome of a round.

    Attributes:
        round: the round.
        kills: number of kills that happened, by kind and point.
        too_late: kills that came after their run had ended.
        starts: number of runs that were started.
        read_errors: images that could not be read while the S3 server was down, and were tried again.
        resumed: images that runs took over from interrupted ones.
        findings: what is wrong.
        kept: the kept workspace, if something is wrong.
        seconds: duration.
    """

    round: Round
    kills: Counter[tuple[str, str]]
    too_late: int
    starts: int
    read_errors: int
    resumed: int
    findings: Sequence[Finding]
    kept: Path | None
    seconds: float


def undisturbed(place: Place, setting: Setting, name: str) -> Undisturbed:
    """Score the whole archive once without a kill.

    Raises:
        RunError: this run is wrong already.
    """
    scene = _scene(place, setting, name, Random(0), 0.0, setting.images)  # noqa: S311 - nothing is drawn
    start = time.monotonic()
    ended = one_run(scene, "undisturbed")
    seconds = time.monotonic() - start
    state = read_state(scene.workspace)
    findings = [*ended.findings, *end_sessions([ended]), *compare(state, state, [ended.account])]
    listed = 0 if ended.account.result is None else ended.account.result["listed"]
    if findings or len(state.scores) + len(state.quarantine) != listed or listed != setting.images:
        said = (
            "; ".join(finding.text for finding in findings) or f"of {setting.images} images it listed {listed}"
        )
        raise RunError(f"an undisturbed run on a {place.site} is wrong already: {said}; see {scene.folder}")
    _clear(scene)
    return Undisturbed(state, seconds)


def play(this: Round, place: Place, setting: Setting, expected: Undisturbed) -> Outcome:
    """Play a round."""
    start = time.monotonic()
    limit = setting.images // (len(this.kills) + 1)
    rng = Random(this.seed)  # noqa: S311 - no secret
    scene = _scene(place, setting, f"round-{this.number:05d}", rng, expected.seconds, limit)
    ended = _runs(this, scene)
    findings = [finding for run in ended for finding in run.findings]
    findings += end_sessions(ended)
    wait_for_server(place)
    state = read_state(scene.workspace)
    pairs = list(zip(this.kills, ended, strict=False))
    promoted = None if this.promoted is None else PROMOTED
    findings += compare(expected.state, state, [run.account for run in ended], promoted)
    findings += check_resumed(this, pairs, sum(run.resumed for run in ended))
    kept = keep_workspace(scene.workspace, scene.folder) if findings else None
    if not findings:
        _clear(scene)
    return Outcome(
        this,
        Counter((this.kind(kill), kill.when) for kill, run in pairs if run.hit),
        sum(kill.point is None and not run.hit for kill, run in pairs),
        len(ended),
        int(state.quarantine["reason"].isin(RETRIED).sum()),
        sum(run.resumed for run in ended),
        findings,
        kept,
        time.monotonic() - start,
    )


def check_resumed(this: Round, pairs: Sequence[tuple[Kill, Ended]], resumed: int) -> Iterator[Finding]:
    """Check that later runs took over the shards of a killed run that was alone."""
    left = [
        run.account.label
        for kill, run in (pairs[:-1] if this.at_once else pairs)
        if run.hit and kill.victim is Victim.FLOW and kill.point in LEAVES_RECORDS
    ]
    if left and not resumed:
        yield Finding(Wrong.UNEXPLAINED, 1, f"no later run took over what {left[0]!r} had scored")


def _scene(place: Place, setting: Setting, name: str, rng: Random, seconds: float, limit: int) -> Scene:
    folder = setting.folder / name
    folder.mkdir(parents=True)
    workspace = make_workspace(place, setting.bundle, name)
    return Scene(place, workspace, setting.command, setting.workers, folder, seconds, limit, rng)


def _runs(this: Round, scene: Scene) -> list[Ended]:
    """Play the killed runs in order, the last together with another if planned; then an undisturbed run.

    If a version is promoted on the way, a backfill is the very last run.
    """
    names = [f"{number} {this.kind(kill)} at {kill.when}" for number, kill in enumerate(this.kills, 1)]
    if this.at_once and not this.kills:
        return two_runs(scene, ("1 of two", "2 of two"), None)
    before = len(this.kills) - 1 if this.at_once else len(this.kills)
    ended: list[Ended] = []
    for number in range(before):
        if number == this.promoted:
            promote(scene.workspace, copy_champion(scene.workspace, PROMOTED))
        ended.append(one_run(scene, names[number], this.kills[number]))
    if this.at_once:
        ended += two_runs(scene, (names[-1], f"{before + 2} of two"), this.kills[-1])
    ended.append(one_run(scene, f"{len(ended) + 1} undisturbed"))
    if this.promoted is not None:
        ended.append(one_run(scene, f"{len(ended) + 1} backfill", backfill=True))
    return ended


def _clear(scene: Scene) -> None:
    """Delete files that are not needed any more."""
    discard_workspace(scene.workspace)
    shutil.rmtree(scene.folder)
