"""Lanes: processes that play rounds in parallel, each with its own places and S3 server."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from skinml.errors import RunError, SkinmlError
from skinml.lab.drill.object_store import running
from skinml.lab.drill.places import Place, bucket_place, folder_place
from skinml.lab.drill.plan import Round, Site, rounds
from skinml.lab.drill.rounds import Outcome, Setting, Undisturbed, play, undisturbed
from skinml.process import interrupts

IN_VAIN = 2
"""At most this many rounds per planned kill, so that the drill ends even if no kill ever hits."""


@dataclass(frozen=True)
class Lane:
    """One lane's process, and the connection for rounds and outcomes."""

    process: BaseProcess
    line: Connection


def play_all(setting: Setting, sites: Sequence[Site], kills: int, seed: int, lanes: int) -> Iterator[Outcome]:
    """Play rounds until this many kills have happened.

    Args:
        setting: what all rounds share.
        sites: the sites of workspaces, in turn.
        kills: number of kills.
        seed: seed of the plan.
        lanes: number of rounds that are played in parallel.

    Raises:
        RunError: already an undisturbed run is wrong, or a lane's process ended.
    """
    plan, left, under_way, in_vain = rounds(seed, sites), kills, 0, IN_VAIN * kills
    with ExitStack() as stack:
        idle = [stack.enter_context(_lane(setting, number)) for number in range(lanes)]
        busy: dict[Connection, tuple[Lane, int]] = {}
        while left > 0 and in_vain > 0:
            while idle and under_way < left:
                this = next(plan).shortened(left - under_way)
                lane = idle.pop()
                lane.line.send(this)
                busy[lane.line] = (lane, len(this.kills))
                under_way += len(this.kills)
            ready = wait(list(busy))
            for line in [line for line in busy if line in ready]:
                lane, planned = busy.pop(line)
                outcome = _answer(lane)
                idle.append(lane)
                under_way -= planned
                left -= outcome.kills.total()
                in_vain -= 1
                yield outcome
        for lane, _ in busy.values():
            yield _answer(lane)


def _answer(lane: Lane) -> Outcome:
    try:
        answer = lane.line.recv()
    except EOFError:
        raise RunError("a process of the drill itself ended; see its output above") from None
    if isinstance(answer, SkinmlError):
        raise answer
    outcome: Outcome = answer
    return outcome


@contextmanager
def _lane(setting: Setting, number: int) -> Iterator[Lane]:
    """Start a lane's process, which ends when its connection is closed."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    own = replace(setting, folder=setting.folder / f"lane-{number}")
    process = spawn.Process(target=serve, args=(theirs, own), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Lane(process, ours)
    except BaseException:  # a signal, or another lane's error: its round is not played to its end
        process.terminate()
        raise
    finally:
        ours.close()
        process.join()


def serve(line: Connection, setting: Setting) -> None:
    """Play the rounds that come through the connection, until it is closed."""
    places: dict[Site, tuple[Place, Undisturbed]] = {}
    with ExitStack() as stack, suppress(EOFError, KeyboardInterrupt), interrupts.raised():
        while True:
            this: Round = line.recv()
            try:
                if this.site not in places:
                    place = _open(this.site, setting, stack)
                    places[this.site] = (place, undisturbed(place, setting, f"undisturbed-{this.site}"))
                place, expected = places[this.site]
                line.send(play(this, place, setting, expected))
            except SkinmlError as error:
                line.send(error)


def _open(site: Site, setting: Setting, stack: ExitStack) -> Place:
    if site is Site.FOLDER:
        return folder_place(setting.folder, setting.archive)
    server = stack.enter_context(running(setting.folder / "server"))
    return bucket_place(server, setting.archive)
