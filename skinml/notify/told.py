"""Remember on this machine what was told about a workspace, to tell once that it is healthy again.

Not in the workspace: its storage may be what failed. The file is below SKINML_HOME (default: ~/.skinml).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skinml.process.switches import HOME

logger = logging.getLogger("skinml.status")


@dataclass(frozen=True)
class Told:
    """What the last call of `status` on this machine knew.

    Attributes:
        seen: whether the workspace was there.
        kinds: the kinds of the problems that were told last; empty if it was told to be healthy, or nothing.
    """

    seen: bool = False
    kinds: tuple[str, ...] = ()


def read_told(workspace: str, receiver: str) -> Told:
    """What is remembered of a workspace and a receiver; nothing if the file cannot be read."""
    try:
        data = json.loads(_file(workspace, receiver).read_text(encoding="utf-8"))
        return Told(bool(data["seen"]), tuple(str(kind) for kind in data["kinds"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return Told()


def write_told(workspace: str, receiver: str, told: Told) -> None:
    """Remember it. A folder that cannot be written to is said in the log: everything is then told again."""
    file = _file(workspace, receiver)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps({"seen": told.seen, "kinds": told.kinds}), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        logger.warning(
            "%s: %s; the next status may tell the same again", file, error.strerror or type(error).__name__
        )


def must_tell(when: str, before: Sequence[str], now: Sequence[str]) -> bool:
    """Whether to tell.

    Args:
        when: problems (whenever there are any, and once when there are none any more), change or always.
        before: kinds of the problems that were told last.
        now: kinds of the problems that there are.
    """
    if when == "always":
        return True
    changed = set(before) != set(now)
    return changed if when == "change" else changed or bool(now)


def _file(workspace: str, receiver: str) -> Path:
    """The file for a workspace and a receiver: a hash, because both may hold what a file name cannot."""
    home = Path(os.environ.get(HOME) or Path.home() / ".skinml").expanduser()
    key = hashlib.sha256(f"{workspace}\n{receiver}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return home / "told" / f"{key}.json"
