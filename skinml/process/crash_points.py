"""Where a run can be made to die, for the drill that proves that nothing is lost then.

docs/exactly-once.md numbers the points. Nothing happens at any of them unless SKINML_CRASH_AT is set, which
only `skinml drill` does.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from skinml.process.switches import CRASH_AT

VARIABLE = CRASH_AT
"""`NUMBER:FILE`: at that point whoever manages to rename FILE sends SIGKILL to the process whose id stands in
it, or to itself where it is empty. So each order kills once, however many workers pass the point."""


def crash_point(number: int) -> None:
    """Pass one of the numbered points; die there where the drill has asked for it."""
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
