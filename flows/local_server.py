"""Find the server of a running `skinml up` of this user, for verbs that were given no other server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from skinml.process.identity import is_alive_here, is_on_this_machine
from skinml.process.switches import HOME

STATE_FILE = "up.json"
AUTH_FILE = "auth"
MOST_BYTES = 65_536


@dataclass(frozen=True)
class UpState:
    """A `skinml up` that serves.

    Attributes:
        pid: its process id.
        url: the address of its server's API.
        ui_url: what a browser opens.
        workspace: normalised URL.
        started_at: when it was started.
        host: the machine.
        system: the boot of that machine, and in Linux its namespace of process ids.
        process_started: start time of the process, since process ids are used again.
        auth: whether the API asks for credentials.
    """

    pid: int
    url: str
    ui_url: str
    workspace: str
    started_at: AwareDatetime
    host: str
    system: str
    process_started: float
    auth: bool = False


_JSON = TypeAdapter(UpState)


def home_folder() -> Path:
    """The folder of `skinml up`: SKINML_HOME, or ~/.skinml."""
    return Path(os.environ.get(HOME) or "~/.skinml").expanduser().resolve()


def read_state(home: Path) -> UpState | None:
    """The `up` of this home that serves now; None if none does, also if its file has been left behind."""
    try:
        file = home / STATE_FILE
        if not _is_ours(file) or file.stat().st_size > MOST_BYTES:
            return None
        state = _JSON.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    here = is_on_this_machine(state.host, state.system)
    return state if here and is_alive_here(state.pid, state.process_started) else None


def credentials(home: Path) -> str | None:
    """The credentials `user:password` of the API of this home; None if none can be read."""
    try:
        file = home / AUTH_FILE
        return file.read_text(encoding="utf-8").strip() or None if _is_ours(file) else None
    except (OSError, UnicodeDecodeError):
        return None


def running_server() -> tuple[UpState, str | None] | None:
    """The server of a running `up` and its credentials, if this process was given no server.

    PREFECT_API_URL is the user's own choice; an empty one means none at all.
    """
    if "PREFECT_API_URL" in os.environ:
        return None
    home = home_folder()
    state = read_state(home)
    return None if state is None else (state, credentials(home) if state.auth else None)


def state_as_json(state: UpState) -> bytes:
    """What the file of a running `up` contains."""
    return _JSON.dump_json(state, indent=2)


def _is_ours(file: Path) -> bool:
    """Whether this user alone could have written it: another one's address would get our runs."""
    about: Any = file.stat()
    return bool(about.st_uid == os.geteuid() and not about.st_mode & 0o022)
