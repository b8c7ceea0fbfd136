"""Refuse wrong requests of `up` before anything is written or started."""

from __future__ import annotations

import errno
import logging
import shutil
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

from deployments.up.api import Api
from deployments.up.settings import Address
from deployments.up.state import Home, UpState
from flows.local_server import credentials
from skinml.errors import RequestError, RunError, SkinmlError
from skinml.training.installed import check_installed

logger = logging.getLogger("skinml.up")


def check_new_home(folder: Path) -> None:
    """Let nobody get a new home by a misspelt name: it needs a folder above it, and it is said.

    Raises:
        RequestError: the folder above it does not exist.
    """
    if folder.exists():
        return
    if not folder.parent.exists():
        raise RequestError(f"--home {folder}: there is no folder {folder.parent}; create it first")
    if folder.parent.is_dir():  # otherwise making it will say what is wrong
        logger.warning("--home %s is new: its server begins without the runs of other homes", folder)


def choose_timezone(name: str | None) -> str:
    """The time zone of the schedules: the one that was named, or this machine's.

    Raises:
        RequestError: there is no such zone.
    """
    if name is None:
        import tzlocal

        try:
            return str(tzlocal.get_localzone_name() or "UTC")
        except Exception:  # this machine has none, or a broken one
            return "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise RequestError(f"--timezone {name!r}: no such time zone; give one as Europe/Vienna") from error
    return name


def check_cron(cron: str, named: str) -> None:
    """Raise RequestError for a cron that Prefect's server would not take; `named` says where it stands."""
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron)
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise RequestError(f"{named} {cron!r}: {said}; give minute hour day month weekday") from error


def choose_address(host: str, port: int) -> Address:
    """Where the server will listen.

    Raises:
        RequestError: the port is in use, or the host is no address of this machine.
    """
    try:
        kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            return Address(host, int(probe.getsockname()[1]))
    except socket.gaierror as error:
        raise RequestError(f"--host {host!r}: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RequestError(
                f"port {port} is in use{_by(host, port)}; stop it, or give another --port"
            ) from error
        raise RequestError(f"--host {host} --port {port}: {error.strerror}") from error


def already_running(state: UpState, workspace: str, home: Home) -> None:
    """Raise RequestError if the `up` that runs is not the one that was asked for."""
    if state.workspace != workspace:
        raise RequestError(
            f"skinml up (PID {state.pid}) already serves workspace {state.workspace}; "
            "stop it, or give another --home"
        )
    api = Api(state.url, credentials(home.folder) if state.auth else None)
    try:
        theirs, ours = str(api.get("/admin/version")), version("prefect")
    except RunError:  # it is starting its server again
        return
    finally:
        api.close()
    if theirs != ours:
        raise RequestError(
            f"skinml up (PID {state.pid}) runs Prefect {theirs}, and {ours} is installed now: "
            "stop it and start it again"
        )


def wants_gpu_worker(asked: bool, left_open: bool) -> bool:
    """Whether to start a worker for training: if it was asked for, or if nothing was said and it could train.

    Raises:
        RequestError: it was asked for, and what training needs is not installed.
    """
    if asked:
        check_installed()
        return True
    if not left_open or not _sees_gpu():
        return False
    try:
        check_installed()
    except SkinmlError:
        return False
    return True


def _sees_gpu() -> bool:
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and b"GPU" in listed.stdout


def _by(host: str, port: int) -> str:
    """Who uses the port, if it is a Prefect server."""
    api = Api(Address(host, port).url)
    try:
        return f" by a Prefect server {api.get('/admin/version')}"
    except (RunError, ValueError):
        return " by another program"
    finally:
        api.close()
