"""Check the champion within a second: record, manifest, sizes of all files, hashes of those that score.

`skinml models verify` hashes every file of every version. Here the files that only training and people read
are compared by size alone.
"""

from __future__ import annotations

from skinml.checkup.problems import Problem
from skinml.errors import RequestError, SkinmlError, StorageError
from skinml.layout import model_url
from skinml.models import promotions, registry
from skinml.models.champion import read_champion_if_any
from skinml.models.manifest import Manifest
from skinml.storage.head import Seen, head_objects
from skinml.storage.urls import as_uri

HASHED = (".onnx", "reference.json")
"""Ends of the names of files that a night reads."""

LARGEST_HASHED = 64 * 2**20
"""Larger files are compared by size: a bucket delivers about 100 MB a second. A night hashes them anyway."""


def champion_problems(workspace: str) -> tuple[str | None, list[Problem]]:
    """Return the champion's version, None without one, and what is wrong with it.

    Raises:
        StorageError: storage did not answer.
    """
    try:
        champion = read_champion_if_any(workspace)
        if champion is None:
            return None, [Problem("no_champion", "no model version is champion; see skinml models list")]
        manifest = registry.find(workspace, registry.CHAMPION)
        _check_files(workspace, manifest)
        recorded = promotions.last_champion(promotions.read_rows(workspace))
        if recorded not in (None, champion.model_version) and not promotions.missing_row(workspace, champion):
            raise RequestError(
                f"champion.json names {champion.model_version}, but the last decision made {recorded} champion:"
                " it was edited by hand; see skinml models verify"
            )
    except StorageError:
        raise
    except SkinmlError as error:
        return None, [Problem("champion", f"champion: {error}")]
    return champion.model_version, []


def _check_files(workspace: str, manifest: Manifest) -> None:
    folder = model_url(workspace, manifest.name, manifest.version)
    names = sorted(manifest.files)
    seen = head_objects([as_uri(f"{folder}/{name}") for name in names])
    for name, answer in zip(names, seen, strict=True):
        expected = manifest.files[name]
        if isinstance(answer, FileNotFoundError):
            raise RequestError(f"{folder}/{name}: is missing; restore it from a copy")
        if isinstance(answer, Exception):
            raise StorageError(f"{folder}/{name}: storage did not answer")
        if isinstance(answer, Seen) and answer.size_bytes != expected.size_bytes:
            raise RequestError(
                f"{folder}/{name}: has {answer.size_bytes:,} bytes, not the {expected.size_bytes:,} that were"
                " registered; restore it from a copy"
            )
        if name.endswith(HASHED) and expected.size_bytes <= LARGEST_HASHED:
            registry.read_verified(workspace, manifest, name)
