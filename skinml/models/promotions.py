"""The table `promotions`: which version was champion when, and why."""

from __future__ import annotations

from itertools import product

from skinml import tables
from skinml.layout import models_url
from skinml.models.champion import read_champion_if_any
from skinml.models.names import is_name
from skinml.storage.objects import names

MADE_CHAMPION = ("first", "promoted", "forced", "rolled_back")
"""Decisions after which the alias names the version that was decided on."""


def champions(workspace: str) -> frozenset[tuple[str, str]]:
    """Every (model_name, model_version) that is champion or ever was.

    The champion of a workspace from before the table existed has no row. After the first promotion, the table
    names it only as `previous_version`, without its model's name: then all models' names count with it, because
    versions are unique.
    """
    columns = ["alias", "model_name", "model_version", "previous_version", "decision"]
    rows = [
        row
        for row in tables.read(workspace, "promotions", columns).to_pylist()
        if row["alias"] == "champion" and row["decision"] in MADE_CHAMPION
    ]
    found = {(row["model_name"], row["model_version"]) for row in rows}
    unnamed = {row["previous_version"] for row in rows} - {None, *(version for _, version in found)}
    if unnamed:
        found |= set(product(filter(is_name, names(models_url(workspace))), unnamed))
    now = read_champion_if_any(workspace)
    return frozenset(found if now is None else found | {(now.model_name, now.model_version)})
