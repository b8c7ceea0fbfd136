"""Copy the champion to another version, and promote that."""

from __future__ import annotations

import json

from skinml.layout import model_url
from skinml.models import decide
from skinml.models.floors import Floors
from skinml.models.registry import find
from skinml.storage.objects import read_bytes, write_bytes


def copy_champion(workspace: str, version: str) -> str:
    """Copy the champion's bundle to this version, which so predicts the same; return the version."""
    manifest = find(workspace, "champion")
    here, there = (model_url(workspace, manifest.name, name) for name in (manifest.version, version))
    for file in manifest.files:
        write_bytes(f"{there}/{file}", read_bytes(f"{here}/{file}"))
    said = json.loads(read_bytes(f"{here}/manifest.json"))
    write_bytes(f"{there}/manifest.json", json.dumps({**said, "version": version}).encode())
    return version


def promote(workspace: str, version: str) -> None:
    """Make this version the champion, whatever its metrics: drills train for an epoch or two."""
    decide.promote(workspace, find(workspace, version), Floors(), "a drill", None, force=True)
