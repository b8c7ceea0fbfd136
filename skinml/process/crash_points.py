"""Points at which a drill can kill a run, to prove that nothing is lost.

docs/exactly-once.md numbers the points of a run, docs/models.md those of a promotion. Nothing happens at them
unless SKINML_CRASH_AT is set, which only `skinml drill` and tests do.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from skinml.process.switches import CRASH_AT

VARIABLE = CRASH_AT
"""`NUMBER:FILE`: at that point, the process that manages to rename FILE sends SIGKILL to the process whose id
is in it, or to itself if it is empty. So each order kills once, however many workers pass the point."""


def crash_point(number: int) -> None:
    """Pass one of the numbered points, and die there if the drill has asked for it."""
    order = os.environ.get(VARIABLE)
    if order is None:
        return
    wanted, _, file = order.partition(":")
    if int(wanted) != number:
        return
    taken = Path(f"{file}.{os.getpid()}")
    try:
        Path(file).rename(taken)
    except OSError:  # another one was first
        return
    victim = taken.read_text(encoding="ascii").strip()
    os.kill(int(victim) if victim else os.getpid(), signal.SIGKILL)
