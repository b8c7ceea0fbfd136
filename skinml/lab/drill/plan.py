"""Plan which runs to kill, where and in which order; the same seed gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count

RECOVERY = 11
"""The crash point of a run that finishes a dead one."""

RECORDED, ADOPTED = 12, 13
"""The crash points after the record of a shard, and after rows were taken over from an interrupted run."""

LEAVES_RECORDS = (6, 7, RECORDED, ADOPTED)
"""Points at which a run that dies has left records that the next one must take over."""

SHORT, LONG = (0.0, 4.0), (45.0, 110.0)
"""Seconds before a killed S3 server is started again: shorter and longer than runs wait for it."""


class Victim(StrEnum):
    """The process that gets SIGKILL."""

    FLOW = "flow"  # the run's own process, and with it its Dask workers
    WORKER = "worker"  # one of its Dask workers
    STORE = "store"  # the S3 server, which is started again after a while


class Site(StrEnum):
    """The kind of storage of workspace and archive."""

    FOLDER = "folder"
    BUCKET = "bucket"


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        victim: the process to kill.
        point: the number of the crash point; None for a random moment.
        moment: the moment, as a fraction of the duration of an undisturbed run, if there is no point.
        limited: whether the run scores only some of the images, so that later runs have work.
        outage: seconds after which an S3 server is started again.
        backfill: whether the run is a backfill.
    """

    victim: Victim
    point: int | None
    moment: float = 0.0
    limited: bool = False
    outage: float = 0.0
    backfill: bool = False

    @property
    def when(self) -> str:
        """Return the point's number, or that it is a random moment."""
        return "a moment" if self.point is None else str(self.point)


@dataclass(frozen=True)
class Round:
    """Several kills in one workspace, followed by an undisturbed run.

    Attributes:
        number: number of the round, from 1.
        site: the storage of workspace and archive.
        kills: one for each run.
        at_once: two runs start at the same time; the last kill, if any, is for the first of them.
        seed: seed for the random choices of the round.
        promoted: another version is promoted before the run with this position; None if never.
    """

    number: int
    site: Site
    kills: tuple[Kill, ...]
    at_once: bool
    seed: int
    promoted: int | None = None

    def kind(self, kill: Kill) -> str:
        """Return the kind of a kill in words: its victim, or that it hits a backfill or one of two runs."""
        if self.at_once and kill is self.kills[-1]:
            return "one of two"
        if kill.backfill:
            return f"{kill.victim}, backfill"
        return "store, long" if kill.outage > max(SHORT) else kill.victim

    def shortened(self, kills: int) -> Round:
        """Return the round with at most this many kills."""
        return replace(self, kills=self.kills[:kills])


Shot = tuple[Victim, int | None]
"""The victim and the crash point; None is a random moment."""


@dataclass(frozen=True)
class Chain:
    """A sequence of kills, and the other settings of a round.

    The runs that are killed after a promotion are backfills: a night would have nothing to score.
    """

    shots: tuple[Shot, ...]
    at_once: bool = False
    outage: tuple[float, float] = SHORT
    promoted: int | None = None

    @property
    def needs_server(self) -> bool:
        """Whether it kills an S3 server."""
        return any(victim is STORE for victim, _ in self.shots)


FLOW, WORKER, STORE = Victim.FLOW, Victim.WORKER, Victim.STORE
CHAINS = (
    Chain(((FLOW, 8), (FLOW, RECOVERY), (WORKER, 4))),
    Chain(((STORE, 8), (STORE, 2), (STORE, 6), (STORE, 7), (STORE, 4))),
    Chain((), at_once=True),
    Chain(((FLOW, 9), (FLOW, RECORDED), (FLOW, ADOPTED), (FLOW, 8), (FLOW, 4), (FLOW, None)), promoted=1),
    Chain(((STORE, 8),), outage=LONG),
    Chain(((FLOW, 1), (FLOW, 2), (FLOW, 3), (FLOW, 4), (FLOW, 5), (FLOW, 6), (FLOW, 7))),
    Chain(((FLOW, None), (FLOW, None), (FLOW, None), (FLOW, None), (FLOW, None), (FLOW, None))),
    Chain(((FLOW, None),), at_once=True),
    Chain(((FLOW, 9), (FLOW, RECOVERY), (FLOW, RECOVERY), (FLOW, 10), (FLOW, 8), (FLOW, RECOVERY))),
    Chain(((STORE, 9), (STORE, 5), (STORE, 3), (STORE, 1))),
    Chain(((FLOW, 7),), at_once=True),
    Chain(((STORE, None),), outage=LONG),
    Chain(((WORKER, 3), (WORKER, 5), (WORKER, None), (FLOW, 9))),
    Chain(((FLOW, 8),), at_once=True),
    Chain(((WORKER, None), (FLOW, None), (WORKER, None), (WORKER, None))),
    Chain(((STORE, None), (STORE, None), (STORE, None), (STORE, None))),
    Chain(((FLOW, 9),), at_once=True),
    Chain(((STORE, 9),), outage=LONG),
    Chain(((FLOW, 8), (FLOW, 1), (FLOW, RECOVERY), (FLOW, 10))),
    Chain(
        ((FLOW, 8), (FLOW, RECOVERY), (WORKER, 5), (FLOW, 9), (FLOW, 6), (FLOW, 7)), at_once=True, promoted=1
    ),
    Chain(((FLOW, RECORDED), (FLOW, ADOPTED), (FLOW, ADOPTED), (FLOW, RECORDED), (FLOW, 7), (FLOW, 8))),
    Chain(((FLOW, 6), (FLOW, ADOPTED)), at_once=True),
    Chain(((STORE, RECORDED), (FLOW, RECORDED), (STORE, ADOPTED))),
    Chain(((FLOW, 5), (WORKER, RECORDED), (FLOW, 7), (WORKER, ADOPTED))),
    Chain(((FLOW, 7), (FLOW, 9)), at_once=True),
    Chain(((FLOW, RECORDED),), at_once=True),
    Chain(((FLOW, 6), (FLOW, 9), (FLOW, RECOVERY))),
)
"""The first two chains already include each victim; all of them, on both sites, include all combinations."""


def rounds(seed: int, sites: Sequence[Site]) -> Iterator[Round]:
    """Yield rounds without end: all chains in turn, alternating between the sites.

    Args:
        seed: seed of the random moments.
        sites: without a bucket, no S3 server is killed.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    chains = [chain for chain in CHAINS if Site.BUCKET in sites or not chain.needs_server]
    numbers = count(1)
    for turn in count():
        for position, chain in enumerate(chains):
            site = Site.BUCKET if chain.needs_server else sites[(turn + position) % len(sites)]
            kills = tuple(_kills(chain, rng))
            yield Round(next(numbers), site, kills, chain.at_once, rng.getrandbits(32), chain.promoted)


def _kills(chain: Chain, rng: random.Random) -> Iterator[Kill]:
    for position, (victim, point) in enumerate(chain.shots):
        later = chain.shots[position + 1 :]
        limited = _commits(victim, point) and any(_needs_images(*shot) for shot in later)
        backfill = chain.promoted is not None and position >= chain.promoted
        yield Kill(victim, point, rng.random(), limited, rng.uniform(*chain.outage), backfill)


def _commits(victim: Victim, point: int | None) -> bool:
    """Whether the killed run may have committed its scores."""
    return victim is not FLOW or point is None or 8 <= point < RECOVERY


def _needs_images(victim: Victim, point: int | None) -> bool:
    """Whether a run reaches the point only if it has images to score."""
    return victim is not FLOW or point is None or 3 <= point <= 9 or point in {RECORDED, ADOPTED}
