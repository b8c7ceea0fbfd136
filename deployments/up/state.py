"""The home folder of `skinml up`: what lies where, its lock, and the state of the `up` that holds it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.local_server import AUTH_FILE, STATE_FILE, UpState, home_folder, read_state, state_as_json
from skinml.errors import RequestError
from skinml.process.identity import this_process

__all__ = ["Home", "UpState", "home_folder", "locked", "read_state", "write_state"]


@dataclass(frozen=True)
class Home:
    """The folder of one machine and user."""

    folder: Path

    @property
    def state(self) -> Path:
        """The address of a running `up`."""
        return self.folder / STATE_FILE

    @property
    def lock(self) -> Path:
        """Locked by a running `up`; its name says that this is such a folder."""
        return self.folder / "up.lock"

    @property
    def secret(self) -> Path:
        """Credentials of the API, of `--auth`."""
        return self.folder / AUTH_FILE

    @property
    def logs(self) -> Path:
        """Logs of server and workers, which rotate."""
        return self.folder / "logs"

    @property
    def prefect(self) -> Path:
        """Prefect's home: its database and leases."""
        return self.folder / "prefect"

    @property
    def empty(self) -> Path:
        """Where server and workers are started: no prefect.toml, no .env and no package `flows` lies there."""
        return self.folder / "empty"

    @property
    def deployments(self) -> Path:
        """The prefect.yaml that was deployed last."""
        return self.folder / "prefect.yaml"

    @property
    def deployed(self) -> Path:
        """Whether that has changed since."""
        return self.folder / "deployed.json"

    @property
    def worker_name(self) -> str:
        """Begins the name of every worker of this home, and of no other machine's."""
        place = hashlib.sha256(f"{os.geteuid()} {self.folder}".encode()).hexdigest()[:8]
        return f"up-{socket.gethostname()}-{place}"

    def make(self) -> None:
        """Make the folder, for this user alone.

        Raises:
            RequestError: it cannot be made, belongs to somebody else, or is a folder for something else that
                others can read: it would be closed to them.
        """
        try:
            if self.folder.exists():
                self._check()
            for folder in (self.folder, self.logs, self.prefect, self.empty):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
        except OSError as error:
            raise RequestError(f"home {self.folder}: {error.strerror}; give --home or SKINML_HOME") from error

    def _check(self) -> None:
        about = self.folder.stat()
        if about.st_uid != os.geteuid():
            raise RequestError(f"home {self.folder}: belongs to another user; give --home or SKINML_HOME")
        if about.st_mode & 0o077 and not self.lock.exists() and any(self.folder.iterdir()):
            raise RequestError(
                f"home {self.folder}: holds other files and is open to other users, who would be shut out; "
                "give a new folder"
            )


@contextmanager
def locked(home: Home) -> Iterator[bool]:
    """Hold the lock of a home until the block or this process ends; False if another `up` holds it."""
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


@contextmanager
def write_state(home: Home, url: str, ui_url: str, workspace: str, auth: bool) -> Iterator[None]:
    """Say where this `up` serves, until the block ends."""
    state = UpState(
        url=url, ui_url=ui_url, workspace=workspace, started_at=datetime.now(UTC), auth=auth, **this_process()
    )
    begun = home.state.with_suffix(".new")
    begun.unlink(missing_ok=True)
    with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(state_as_json(state))
    begun.replace(home.state)
    try:
        yield
    finally:
        home.state.unlink(missing_ok=True)
