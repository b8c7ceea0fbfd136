"""Read and write `models/champion.json`: the version that scores, and the SHA-256 of its manifest."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, TypeAdapter

from skinml.errors import RequestError
from skinml.layout import champion_url
from skinml.models.manifest import Sha256
from skinml.models.names import Name
from skinml.storage.objects import create_bytes, exists, read_bytes
from skinml.strict_json import parse_json

MOST_BYTES = 64 * 2**10
"""It has 200 bytes."""


class Champion(BaseModel):
    """What the file says. `manifest_sha256` is None in one from before it was kept."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    model_name: Name
    model_version: Name
    manifest_sha256: Sha256 | None = None


_CHAMPION = TypeAdapter(Champion)


def read_champion(workspace: str) -> Champion:
    """Which version is champion.

    Raises:
        RequestError: there is none, or the file is not what this module writes; in one line.

    """
    url = champion_url(workspace)
    if not exists(url):
        raise RequestError(f"--model champion: {workspace} has no champion yet; run skinml train first")
    try:
        return parse_json(_CHAMPION, read_bytes(url, MOST_BYTES))
    except ValueError as error:
        raise RequestError(
            f"{url}: does not name the champion: {error}; write it anew, or score with --model VERSION"
        ) from error


def read_champion_if_any(workspace: str) -> Champion | None:
    """The same, or None if there is no champion yet."""
    return read_champion(workspace) if exists(champion_url(workspace)) else None


def create_champion(workspace: str, champion: Champion) -> bool:
    """Make a version champion if there is none yet. True if it now is."""
    record = {**champion.model_dump(), "promoted_at": datetime.now(UTC).isoformat(timespec="seconds")}
    return create_bytes(champion_url(workspace), json.dumps(record, indent=2).encode())
