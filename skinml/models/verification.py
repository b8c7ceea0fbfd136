"""Verify versions: every file against its hash, and every manifest against the decisions about its version."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skinml.errors import RequestError, SkinmlError
from skinml.layout import champion_url, model_url
from skinml.models import promotions, registry
from skinml.models.champion import read_champion_if_any
from skinml.models.manifest import Manifest, parse_manifest

FILES_AT_ONCE = 4
"""Files that are in memory at the same time: a network may have hundreds of MB."""


def verify(workspace: str, only: Manifest | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """Verify every version and the record of the champion, or one version alone.

    Returns:
        One row for each version, oldest first: version, name, files, whole; and every problem in one line.

    """
    hashes, problems = _decided_on(workspace)
    chosen = registry.registered(workspace) if only is None else [(only.name, only.version)]
    rows = []
    for name, version in chosen:
        found, files = _verify(workspace, name, version, hashes.get((name, version), set()))
        rows.append({"version": version, "name": name, "files": files, "whole": not found})
        problems += found
    return rows, problems if only is not None else [*problems, *_of_champion(workspace)]


def check_files(workspace: str, manifest: Manifest) -> None:
    """Refuse a version if any of its files is not what was registered. Raises RequestError for the first."""
    problems = _file_problems(workspace, manifest)
    if problems:
        more = f"; and {len(problems) - 1} more: skinml models verify names them" if len(problems) > 1 else ""
        raise RequestError(f"{problems[0]}{more}")


def _verify(workspace: str, name: str, version: str, decided_on: set[str]) -> tuple[list[str], int]:
    """The problems of one version, and how many files it has."""
    try:
        data = registry.manifest_bytes(workspace, name, version)
        manifest = parse_manifest(data, version)
    except SkinmlError as error:
        return [str(error)], 0
    problems = []
    if (manifest.name, manifest.version) != (name, version):
        problems.append(f"model {name}/{version}: its manifest says {manifest.name}/{manifest.version}")
        manifest = manifest.model_copy(update={"name": name, "version": version})
    if decided_on and hashlib.sha256(data).hexdigest() not in decided_on:
        problems.append(
            f"{model_url(workspace, name, version)}/manifest.json: was changed after a decision about this"
            " version; restore it from a copy"
        )
    return [*problems, *_file_problems(workspace, manifest)], len(manifest.files)


def _file_problems(workspace: str, manifest: Manifest) -> list[str]:
    """Each file that is missing or has other bytes than the manifest says, in one line."""

    def problem(file: str) -> str | None:
        try:
            registry.read_verified(workspace, manifest, file)
        except SkinmlError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        return [found for found in pool.map(problem, sorted(manifest.files)) if found is not None]


def _decided_on(workspace: str) -> tuple[dict[tuple[str, str], set[str]], list[str]]:
    """The hashes of manifests by version, as the decisions have seen them; and why the table cannot be read."""
    try:
        rows = promotions.read_rows(workspace)
    except SkinmlError as error:
        return {}, [str(error)]
    hashes: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row["manifest_sha256"] is not None:
            hashes.setdefault((row["model_name"], row["model_version"]), set()).add(row["manifest_sha256"])
    return hashes, []


def _of_champion(workspace: str) -> list[str]:
    """What is wrong with the record of the champion."""
    url = champion_url(workspace)
    try:
        champion = read_champion_if_any(workspace)
        if champion is None:
            return []
        registry.find(workspace, registry.CHAMPION)
    except SkinmlError as error:
        return [f"champion: {error}"]
    try:
        missing = promotions.missing_row(workspace, champion)
        recorded = promotions.last_champion(promotions.read_rows(workspace))
    except SkinmlError:
        return []  # already said of the table
    if missing is not None:
        return [f"{url}: the promotion of {missing.model_version} has no row yet; the next one writes it"]
    if recorded is not None and recorded != champion.model_version:
        return [
            f"{url}: names {champion.model_version}, but the last row in promotions made {recorded} champion:"
            " it was edited by hand; skinml models rollback goes back, skinml models promote takes another one"
        ]
    return []
