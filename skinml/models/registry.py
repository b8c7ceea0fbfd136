"""The registry of model versions in a workspace: register them, find them, and believe their files by hash.

A version is a folder that is written once: its files first, its manifest last and only where none is. Files
are believed only if their SHA-256 is the manifest's: Keras' safe mode is no security boundary. The champion's
manifest is believed only if its SHA-256 is the one in champion.json; that of another version as it is.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skinml.errors import RequestError, RunError, StorageError
from skinml.labels import DIAGNOSES
from skinml.layout import model_url, models_url
from skinml.models.bundle import describe
from skinml.models.champion import Champion, read_champion_if_any, readable_champion
from skinml.models.manifest import MOST_BYTES, Manifest, parse_manifest
from skinml.models.names import is_name
from skinml.storage.objects import create_bytes, exists, names, read_bytes, upload
from skinml.storage.urls import is_remote

logger = logging.getLogger("skinml.models")

CHAMPION = "champion"
CHANGED = "the file was changed: restore it, or score with another --model"


def new_version() -> str:
    """A version's name: UTC time to the second and a random end, so that names sort by age."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def register(workspace: str, folder: Path, fields: dict[str, Any]) -> Manifest:
    """Upload a bundle and make it a version.

    Args:
        workspace: normalised URL.
        folder: the bundle's files, in sub-folders too.
        fields: the manifest's fields but class_order and files; created_at is now if it is not given.

    Raises:
        RunError: the version exists already.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        **{"created_at": datetime.now(UTC).isoformat(timespec="seconds"), **fields},
        class_order=DIAGNOSES,
        files={path.relative_to(folder).as_posix(): describe(path.read_bytes()) for path in paths},
    )
    url = model_url(workspace, manifest.name, manifest.version)
    if exists(f"{url}/manifest.json"):
        raise RunError(f"model version {manifest.version} exists already, and versions never change")
    for path in paths:
        upload(path, f"{url}/{path.relative_to(folder).as_posix()}")
    if not create_bytes(f"{url}/manifest.json", manifest.model_dump_json(indent=2).encode()):
        raise RunError(f"model version {manifest.version} was registered by another run at the same moment")
    return manifest


def find(workspace: str, version: str, flag: str = "--model") -> Manifest:
    """The manifest of a version, or of the champion by that name.

    Args:
        workspace: normalised URL.
        version: its whole name, or champion.
        flag: where it was named, for the error.

    Raises:
        RequestError: there is no such version, in a line that names those that are there; or its manifest is
            not a manifest, or not the one that champion.json has the hash of.
    """
    champion: Champion | None
    if version == CHAMPION:
        champion = read_champion_if_any(workspace)
        if champion is None:
            raise RequestError(f"{flag} {CHAMPION}: {_no_champion(workspace)}")
        if champion.manifest_sha256 is None:
            logger.info("champion.json has no manifest_sha256, it is from before: the manifest is not checked")
        version, candidates = champion.model_version, [champion.model_name]
    else:
        if not is_name(version):
            raise RequestError(
                f"{flag} {version!r} is no version; see the folders below {models_url(workspace)}"
            )
        champion, candidates = readable_champion(workspace), _model_names(workspace)
    for name in candidates:
        if exists(f"{model_url(workspace, name, version)}/manifest.json"):
            return read_manifest(workspace, name, version, champion)
    known = _named(versions(workspace)) or "none yet: run skinml train first"
    raise RequestError(f"{flag} {version}: no such version in {workspace} (there is: {known})")


NAMED = 3
"""How many of the latest versions an error names."""


def _no_champion(workspace: str) -> str:
    """What to do in a workspace without a champion."""
    known = versions(workspace)
    if not known:
        return f"{workspace} has no champion yet; run skinml train first"
    return (
        f"{workspace} has no champion yet, because no version has met the floors (there is:"
        f" {_named(known)}); train a better one, or run skinml models promote VERSION --force"
    )


def _check_manifest(workspace: str, champion: Champion, data: bytes) -> None:
    """Refuse a manifest that was changed since its version became champion."""
    if champion.manifest_sha256 is not None:
        url = f"{model_url(workspace, champion.model_name, champion.model_version)}/manifest.json"
        check_sha256(data, champion.manifest_sha256, url)


def manifest_bytes(workspace: str, name: str, version: str) -> bytes:
    """The bytes of a version's manifest. Raises RequestError if they lie behind a link out of the workspace."""
    url = f"{model_url(workspace, name, version)}/manifest.json"
    _check_inside(workspace, url)
    return read_bytes(url, MOST_BYTES)


def _check_inside(workspace: str, url: str) -> None:
    """Refuse a file of a bundle that is a link, or lies behind one, that leads out of the workspace.

    The folder of all models may itself be a link: that is how an operator shares one.
    """
    if is_remote(url):
        return
    try:
        found = Path(url).resolve()
        places = [Path(workspace).resolve(), Path(models_url(workspace)).resolve()]
    except (OSError, RuntimeError) as error:  # links in a circle: RuntimeError until Python 3.12
        raise RequestError(f"{url}: its links lead nowhere; restore the file") from error
    if not any(found.is_relative_to(place) for place in places):
        raise RequestError(
            f"{url}: a link leads to {str(found)!r}, out of the workspace; put the file itself there"
        )


def _model_names(workspace: str) -> list[str]:
    return [name for name in names(models_url(workspace)) if is_name(name) and not name.endswith(".json")]


AT_ONCE = 16
"""Threads that ask storage about versions: a bucket takes milliseconds to answer each."""


def registered(workspace: str) -> list[tuple[str, str]]:
    """(model_name, model_version) of all versions, oldest first. A folder without a manifest is no version."""
    found = [
        (name, version)
        for name in _model_names(workspace)
        for version in names(models_url(workspace, name))
        if is_name(version)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        there = pool.map(lambda one: exists(f"{model_url(workspace, *one)}/manifest.json"), found)
        whole = [one for one, is_there in zip(found, there, strict=True) if is_there]
    return sorted(whole, key=lambda one: (one[1], one[0]))


def versions(workspace: str) -> list[str]:
    """All registered versions, of all models, oldest first."""
    return [version for _, version in registered(workspace)]


def find_by_start(workspace: str, text: str, flag: str) -> Manifest:
    """The manifest of the version that a person means: its name, the unique start of one, or champion.

    Args:
        workspace: normalised URL.
        text: what the person wrote.
        flag: where, for the error.

    Raises:
        RequestError: there is no such version, or several begin so.
    """
    if text == CHAMPION or not is_name(text):
        return find(workspace, text, flag)
    known = versions(workspace)
    meant = [text] if text in known else [version for version in known if version.startswith(text)]
    if len(meant) == 1:
        return find(workspace, meant[0], flag)
    if meant:
        raise RequestError(
            f"{flag} {text}: {len(meant)} versions begin so ({_named(meant)}); give more of the name"
        )
    if not known:
        raise RequestError(f"{flag} {text}: {workspace} has no model yet; run skinml train first")
    raise RequestError(f"{flag} {text}: no such version in {workspace} (there is: {_named(known)})")


def read_manifest(workspace: str, name: str, version: str, champion: Champion | None) -> Manifest:
    """The manifest of one version. That of the champion is checked against the hash in its record.

    Raises:
        RequestError: it is none, it is another version's, or it was changed since its version became champion.
    """
    data = manifest_bytes(workspace, name, version)
    if champion is not None and champion.names(name, version):
        _check_manifest(workspace, champion, data)
    manifest = parse_manifest(data, version)
    if (manifest.name, manifest.version) != (name, version):
        raise RequestError(f"model {name}/{version}: its manifest says {manifest.name}/{manifest.version}")
    return manifest


def _named(known: list[str]) -> str:
    """The latest versions, and how many there are if they are not all."""
    more = f"{len(known)}, the latest are " if len(known) > NAMED else ""
    return more + ", ".join(known[-NAMED:])


def read_verified(workspace: str, manifest: Manifest, file: str) -> bytes:
    """A file of the bundle, once its size and SHA-256 are the manifest's.

    Raises:
        RequestError: they are not, the manifest does not name the file, it is missing, or it is a link that
            leads out of the workspace.
    """
    url = f"{model_url(workspace, manifest.name, manifest.version)}/{file}"
    expected = manifest.files.get(file)
    if expected is None:
        raise RequestError(f"model {manifest.version}: its manifest names no {file}")
    _check_inside(workspace, url)
    try:
        data = read_bytes(url, expected.size_bytes)
    except StorageError as error:
        raise RequestError(f"model {manifest.version}: {error}") from error
    if len(data) != expected.size_bytes:
        raise RequestError(
            f"{url}: has {len(data):,} bytes, not the {expected.size_bytes:,} that were registered; {CHANGED}"
        )
    check_sha256(data, expected.sha256, url)
    return data


def check_sha256(data: bytes, expected: str, url: str) -> None:
    """Refuse bytes that are not those that were registered."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise RequestError(
            f"{url}: SHA-256 {found[:12]}… is not the {expected[:12]}… that was registered; {CHANGED}"
        )
