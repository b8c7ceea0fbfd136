"""The table `promotions`: which version was champion when, and why."""

from __future__ import annotations

from skinml import tables
from skinml.models.champion import read_champion_if_any

MADE_CHAMPION = ("first", "promoted", "forced", "rolled_back")
"""Decisions after which the alias names the version that was decided on."""


def champions(workspace: str) -> frozenset[tuple[str, str]]:
    """Every (model_name, model_version) that is champion or ever was.

    Workspaces from before the table existed have a champion and no row.
    """
    rows = tables.read(workspace, "promotions", ["alias", "model_name", "model_version", "decision"])
    found = {
        (row["model_name"], row["model_version"])
        for row in rows.to_pylist()
        if row["alias"] == "champion" and row["decision"] in MADE_CHAMPION
    }
    now = read_champion_if_any(workspace)
    return frozenset(found if now is None else found | {(now.model_name, now.model_version)})
