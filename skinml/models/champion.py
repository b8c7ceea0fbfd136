"""Read and write `models/champion.json`: the version that scores, the SHA-256 of its manifest, the decision.

The file holds the whole decision that made the version champion (`promotions.Decision`), so a process that dies
before the decision's row is in `promotions` loses nothing: the next one writes the row from here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from skinml.errors import RequestError
from skinml.layout import champion_url
from skinml.models.manifest import Sha256
from skinml.models.names import Name
from skinml.storage.objects import create_bytes, exists, read_bytes
from skinml.storage.swap import swap_bytes
from skinml.strict_json import parse_json

MOST_BYTES = 64 * 2**10
"""It has 5 kB with the evidence of its decision."""


class Champion(BaseModel):
    """What the file says. `manifest_sha256` and `decision` are None in one from before they were kept."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    model_name: Name
    model_version: Name
    manifest_sha256: Sha256 | None = None
    promoted_at: Any = None
    decision: Any = None  # `promotions.Decision` as plain data; whatever it is, the version can score

    def names(self, name: str, version: str) -> bool:
        """Whether this version is the champion."""
        return (self.model_name, self.model_version) == (name, version)


@dataclass(frozen=True)
class Alias:
    """The file as it was read: its bytes, to replace it only if nobody else has, and what they say."""

    data: bytes
    champion: Champion


_CHAMPION = TypeAdapter(Champion)


def read_alias(workspace: str) -> Alias | None:
    """The file, or None if the workspace has no champion.

    Raises:
        RequestError: it is not what this module writes; in one line.

    """
    url = champion_url(workspace)
    if not exists(url):
        return None
    data = read_bytes(url, MOST_BYTES)
    try:
        return Alias(data, parse_json(_CHAMPION, data))
    except ValueError as error:
        raise RequestError(
            f"{url}: does not name the champion: {error}; delete it and run skinml models promote"
            " VERSION, or score with --model VERSION"
        ) from error


def read_champion_if_any(workspace: str) -> Champion | None:
    """Which version is champion, or None if the workspace has none. Raises as `read_alias`."""
    alias = read_alias(workspace)
    return None if alias is None else alias.champion


def readable_champion(workspace: str) -> Champion | None:
    """The same, but None also if the file cannot be read: for those who can do without it."""
    try:
        return read_champion_if_any(workspace)
    except RequestError:
        return None


def write_champion(workspace: str, champion: Champion, before: Alias | None) -> bool:
    """Make a version champion if the file still is what was read. True if it now is.

    Args:
        workspace: normalised URL.
        champion: the version, with its decision: the decision's id makes the bytes unlike any other's.
        before: the file as it was read; None if there was none.

    """
    data = json.dumps(champion.model_dump(mode="json"), indent=2, allow_nan=False).encode()
    url = champion_url(workspace)
    return create_bytes(url, data) if before is None else swap_bytes(url, before.data, data)
