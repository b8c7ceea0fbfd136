"""The places of the drill's archives and workspaces: a folder, or a bucket on an S3 server of its own."""

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
"""Prefixes of environment variables that change what a run does; the drill removes them."""


@dataclass(frozen=True)
class Place:
    """One site of rounds.

    Attributes:
        site: the kind of place.
        root: the URL below which workspaces are, normalised.
        archive: the archive to score, normalised URL.
        environment: the environment variables that runs need.
        server: the S3 server, for a bucket.
    """

    site: Site
    root: str
    archive: str
    environment: Mapping[str, str]
    server: Server | None = None


def take_champion(workspace: str, bundle: Path) -> str:
    """Copy champion.json and the champion's files into `bundle`, with the layout of models/.

    Returns:
        The version.

    Raises:
        RequestError: there is no champion, or its files differ from the registered ones.
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
    """Return a place with workspaces in a folder; the archive is used where it is."""
    return Place(Site.FOLDER, str(folder), str(archive), {})


def bucket_place(server: Server, archive: Path) -> Place:
    """Return a place with workspaces in a bucket of a new server, and copy the archive there.

    The server's environment variables are set in this process too.
    """
    os.environ.update(server.environment())
    make_bucket(server)
    place = Place(Site.BUCKET, f"s3://{BUCKET}", f"s3://{BUCKET}/archive", server.environment(), server)
    put_folder(archive, place.archive)
    return place


def make_bucket(server: Server) -> None:
    """Create the bucket as soon as the server answers."""
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
    """Upload all files of a folder below a URL."""
    for name in walk(str(folder)):
        write_bytes(f"{url}/{name}", (folder / name).read_bytes())


def make_workspace(place: Place, bundle: Path, name: str) -> str:
    """Make a new workspace that contains only a champion."""
    workspace = f"{place.root}/{name}/workspace"
    put_folder(bundle, models_url(workspace))
    return workspace


def keep_workspace(workspace: str, folder: Path) -> Path:
    """Keep a workspace for inspection: its own folder, or a copy from the bucket. Return the path."""
    if not is_remote(workspace):
        return Path(workspace)
    for name in walk(workspace):
        path = folder / "workspace" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_bytes(f"{workspace}/{name}"))
    return folder / "workspace"


def discard_workspace(workspace: str) -> None:
    """Delete a workspace."""
    if is_remote(workspace):
        delete([f"{workspace}/{name}" for name in walk(workspace)])
    else:
        shutil.rmtree(workspace)


def wait_for_server(place: Place) -> None:
    """Start the place's server if it is down, and wait until it accepts an object."""
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
    """Return this environment without the user's settings; temporary files and kept rows go to `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    # An empty address: not the server of a `skinml up` that runs here either.
    own = {
        "PREFECT_API_URL": "",
        "PREFECT_HOME": home.parent / "prefect",
        "TMPDIR": home,
        "XDG_STATE_HOME": home / "state",
    }
    return {**kept, **{name: str(value) for name, value in own.items()}, **more}
