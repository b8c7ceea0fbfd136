"""Run small checks at the same time, each with a deadline: one that breaks or hangs never stops the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from skinml.errors import SkinmlError
from skinml.storage.redaction import redacted

State = Literal["ok", "warning", "failed"]

LONGEST = 400
"""Characters of an unknown error's text."""


@dataclass(frozen=True)
class Finding:
    """What one check found: its state, what is so, and how to mend it (empty if it is ok)."""

    state: State
    detail: str
    mend: str = ""


def ok(detail: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", detail)


def warning(detail: str, mend: str) -> Finding:
    """It works, but not as well or as safely as it could."""
    return Finding("warning", detail, mend)


def failed(detail: str, mend: str) -> Finding:
    """Something does not work."""
    return Finding("failed", detail, mend)


def run_checks(checks: Mapping[str, Callable[[], Finding]], seconds: float) -> list[dict[str, str]]:
    """Run checks at the same time and return a row for each, in their order: check, state, detail, mend.

    Args:
        checks: functions without arguments, by the name of the check.
        seconds: how long one check may take. One that takes longer is left alone and counts as failed.
    """
    found: dict[str, Finding] = {}

    def run(name: str, check: Callable[[], Finding]) -> None:
        found[name] = _guarded(check)

    # Daemon threads: a check that hangs in a system call must not keep the process alive.
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in checks.items()]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    slow = failed(f"no answer within {seconds:g} s", "look at what it asks, or give a longer --timeout")
    return rows_of({name: found.get(name, slow) for name in checks})


def rows_of(found: Mapping[str, Finding]) -> list[dict[str, str]]:
    """Findings as rows: check, state, detail, mend; one line each."""
    return [
        {"check": name, "state": one.state, "detail": _line(one.detail), "mend": _line(one.mend)}
        for name, one in found.items()
    ]


def worst(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """How many checks have which state."""
    return {state: sum(row["state"] == state for row in rows) for state in ("ok", "warning", "failed")}


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except SkinmlError as error:
        said, _, advice = str(error).partition("; ")
        return failed(said, advice or "see the detail")
    except BaseException as error:  # also panics of obstore, which are no Exceptions
        said = redacted(f"{type(error).__name__}: {error}")[:LONGEST]
        return failed(f"could not be checked: {said}", "please report this")


def _line(text: str) -> str:
    return redacted(" ".join(text.split()))
