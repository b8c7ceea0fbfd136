"""Copy the champion to another version, and promote that."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

import pyarrow as pa

from skinml import tables
from skinml.layout import champion_url, model_url
from skinml.models.champion import Champion, read_champion
from skinml.models.registry import find
from skinml.schemas import PROMOTIONS
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


def promote(workspace: str, version: str, decision: str = "promoted") -> None:
    """Make this version the champion and write its row of `promotions`.

    Nothing is judged, and an interrupted call is not continued.
    """
    before = read_champion(workspace)
    manifest = read_bytes(f"{model_url(workspace, before.model_name, version)}/manifest.json")
    champion = Champion(
        model_name=before.model_name, model_version=version, manifest_sha256=sha256(manifest).hexdigest()
    )
    write_bytes(champion_url(workspace), champion.model_dump_json().encode())
    row = dict.fromkeys(PROMOTIONS.names) | {
        "promoted_at": datetime.now(UTC),
        "alias": "champion",
        "model_name": before.model_name,
        "model_version": version,
        "previous_version": before.model_version,
        "decision": decision,
    }
    rows = pa.Table.from_pylist([row], PROMOTIONS)
    tables.append(workspace, "promotions", rows, tables.attempt(f"promotion of {version}"))
