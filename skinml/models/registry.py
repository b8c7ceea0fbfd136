"""Model versions in a workspace: register, find, verify, and which one is champion.

A version is a folder that is written once: its files first, its manifest last and only where none is. Files
are believed only if their SHA-256 is the manifest's: Keras' safe mode is no security boundary.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skinml.errors import RequestError, RunError, StorageError
from skinml.labels import DIAGNOSES
from skinml.models.manifest import File, Manifest, parse_manifest
from skinml.storage.objects import create_bytes, exists, names, read_bytes, upload
from skinml.workspace import champion_url, model_url, models_url

CHAMPION = "champion"
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
"""What a version's name may look like: one folder, never a way out of it."""


def new_version() -> str:
    """A version's name: UTC time to the second and a random end, so that names sort by age."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def register(workspace: str, folder: Path, fields: dict[str, Any]) -> Manifest:
    """Upload a bundle and make it a version.

    Args:
        workspace: normalised URL.
        folder: the bundle's files, in sub-folders too.
        fields: the manifest's fields but class_order, created_at and files.

    Raises:
        RunError: the version exists already.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = Manifest(
        **fields,
        class_order=DIAGNOSES,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files={path.relative_to(folder).as_posix(): _describe(path.read_bytes()) for path in paths},
    )
    url = model_url(workspace, manifest.name, manifest.version)
    if exists(f"{url}/manifest.json"):
        raise RunError(f"model version {manifest.version} exists already, and versions never change")
    for path in paths:
        upload(path, f"{url}/{path.relative_to(folder).as_posix()}")
    if not create_bytes(f"{url}/manifest.json", manifest.model_dump_json(indent=2).encode()):
        raise RunError(f"model version {manifest.version} was registered by another run at the same moment")
    return manifest


def _describe(data: bytes) -> File:
    return File(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def find(workspace: str, version: str) -> Manifest:
    """The manifest of a version, or of the champion by that name.

    Raises:
        RequestError: there is no such version, in a line that names those that are there.
    """
    if version == CHAMPION:
        name, version = _read_champion(workspace)
        candidates = [name]
    else:
        if not VERSION.fullmatch(version):
            raise RequestError(
                f"--model {version!r} is no version; see the folders below {models_url(workspace)}"
            )
        candidates = [name for name in names(models_url(workspace)) if not name.endswith(".json")]
    for name in candidates:
        url = f"{model_url(workspace, name, version)}/manifest.json"
        if exists(url):
            manifest = parse_manifest(read_bytes(url), version)
            if (manifest.name, manifest.version) != (name, version):
                raise RequestError(
                    f"model {name}/{version}: its manifest says {manifest.name}/{manifest.version}"
                )
            return manifest
    known = ", ".join(versions(workspace)) or "none yet: run skinml train first"
    raise RequestError(f"--model {version}: no such version in {workspace} (there is: {known})")


def versions(workspace: str) -> list[str]:
    """All registered versions, of all models, oldest first."""
    models = [name for name in names(models_url(workspace)) if not name.endswith(".json")]
    return sorted(
        version
        for name in models
        for version in names(models_url(workspace, name))
        if exists(f"{model_url(workspace, name, version)}/manifest.json")
    )


def read_verified(workspace: str, manifest: Manifest, file: str) -> bytes:
    """A file of the bundle, once its SHA-256 is the manifest's. Raises RequestError where it is not."""
    url = f"{model_url(workspace, manifest.name, manifest.version)}/{file}"
    expected = manifest.files.get(file)
    if expected is None:
        raise RequestError(f"model {manifest.version}: its manifest names no {file}")
    try:
        data = read_bytes(url)
    except StorageError as error:
        raise RequestError(f"model {manifest.version}: {error}") from error
    check_sha256(data, expected.sha256, url)
    return data


def check_sha256(data: bytes, expected: str, url: str) -> None:
    """Refuse bytes that are not those that were registered."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise RequestError(
            f"{url}: SHA-256 {found[:12]}… is not the {expected[:12]}… that was registered; "
            "the file was changed: restore it, or score with another --model"
        )


def crown_first(workspace: str, manifest: Manifest) -> bool:
    """Make a version champion where there is none yet. True where it now is."""
    record = {
        "model_name": manifest.name,
        "model_version": manifest.version,
        "promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return create_bytes(champion_url(workspace), json.dumps(record, indent=2).encode())


def _read_champion(workspace: str) -> tuple[str, str]:
    url = champion_url(workspace)
    if not exists(url):
        raise RequestError(f"--model champion: {workspace} has no champion yet; run skinml train first")
    try:
        record = json.loads(read_bytes(url))
        return str(record["model_name"]), str(record["model_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{url}: names no model_name and model_version; write it anew") from error
