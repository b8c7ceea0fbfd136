"""Where the drill's archives and workspaces lie: a folder, or a bucket on an S3 server of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skinml.errors import RunError, StorageError
from skinml.lab.drill.object_store import Server
from skinml.lab.drill.plan import Site
from skinml.layout import champion_url, model_url, models_url
from skinml.models import registry
from skinml.storage.connection import file_system
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.removal import delete
from skinml.storage.tree import walk
from skinml.storage.urls import is_remote

BUCKET = "drill"
START_SECONDS = 60.0
OWN = ("SKINML_", "PREFECT_", "AWS_")
"""Environment variables that would make a run do something else than on another machine."""


@dataclass(frozen=True)
class Place:
    """One site of rounds.

    Attributes:
        site: which kind it is.
        root: below which workspaces lie, normalised URL.
        archive: what is scored, normalised URL.
        environment: what runs need to open it.
        server: the S3 server, for a bucket.
    """

    site: Site
    root: str
    archive: str
    environment: Mapping[str, str]
    server: Server | None = None


def take_champion(workspace: str, bundle: Path) -> str:
    """Copy what names the champion, and the champion's files, into `bundle`, as they lie below models/.

    Returns:
        The version.

    Raises:
        RequestError: there is no champion, or its files are not those that were registered.
    """
    manifest = registry.find(workspace, registry.CHAMPION)
    folder = bundle / Path(model_url("", manifest.name, manifest.version)).relative_to(models_url(""))
    files = {name: registry.read_verified(workspace, manifest, name) for name in manifest.files}
    files["manifest.json"] = read_bytes(
        f"{model_url(workspace, manifest.name, manifest.version)}/manifest.json"
    )
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    champion = champion_url(workspace)
    (bundle / champion.rpartition("/")[2]).write_bytes(read_bytes(champion))
    return manifest.version


def folder_place(folder: Path, archive: Path) -> Place:
    """Workspaces in a folder, over an archive that lies where it is."""
    return Place(Site.FOLDER, str(folder), str(archive), {})


def bucket_place(server: Server, archive: Path) -> Place:
    """Workspaces in a bucket of a server that has just been started, over a copy of an archive.

    The variables that open the server are this process's own from here on.
    """
    os.environ.update(server.environment())
    make_bucket(server)
    place = Place(Site.BUCKET, f"s3://{BUCKET}", f"s3://{BUCKET}/archive", server.environment(), server)
    put_folder(archive, place.archive)
    return place


def make_bucket(server: Server) -> None:
    """Make the bucket, as soon as the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            file_system().mkdir(BUCKET)
        except OSError as error:
            if server.is_dead() or time.monotonic() > deadline:
                raise RunError(f"the S3 server did not start; see {server.log}") from error
            time.sleep(0.2)  # polling another process until it is ready
        else:
            return


def put_folder(folder: Path, url: str) -> None:
    """Put all files of a folder below a URL."""
    for name in walk(str(folder)):
        write_bytes(f"{url}/{name}", (folder / name).read_bytes())


def make_workspace(place: Place, bundle: Path, name: str) -> str:
    """A new workspace that has a champion and nothing else."""
    workspace = f"{place.root}/{name}/workspace"
    put_folder(bundle, models_url(workspace))
    return workspace


def keep_workspace(workspace: str, folder: Path) -> Path:
    """A workspace for somebody to look at later: in the folder it lies in, or copied there from a bucket."""
    if not is_remote(workspace):
        return Path(workspace)
    for name in walk(workspace):
        path = folder / "workspace" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_bytes(f"{workspace}/{name}"))
    return folder / "workspace"


def discard_workspace(workspace: str) -> None:
    """Delete a workspace that has served its purpose."""
    if is_remote(workspace):
        delete([f"{workspace}/{name}" for name in walk(workspace)])
    else:
        shutil.rmtree(workspace)


def wait_for_server(place: Place) -> None:
    """Start the place's server if it is down, and wait until it takes an object."""
    if place.server is None:
        return
    deadline = time.monotonic() + START_SECONDS
    while True:
        if place.server.is_dead():
            place.server.restart()
        try:
            write_bytes(f"{place.root}/ready", b"")
        except StorageError as error:
            if time.monotonic() > deadline:
                raise RunError(f"the S3 server did not come back; see {place.server.log}") from error
        else:
            return


def clean_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """This environment without what is the user's own; temporary files and kept rows lie in `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    own = {"PREFECT_HOME": home.parent / "prefect", "TMPDIR": home, "XDG_STATE_HOME": home / "state"}
    return {**kept, **{name: str(value) for name, value in own.items()}, **more}
