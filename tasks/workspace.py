"""Stages that open a workspace and check its tables before anything is written."""

from __future__ import annotations

from skinml import layout, tables
from skinml.schemas import TABLES
from tasks.stage import stage


@stage("open workspace", "open workspace {workspace}", tags=("storage",))
def open_workspace(workspace: str) -> str:
    """Return the workspace's normalised URL after checking that it can be used."""
    return layout.open_workspace(workspace)


@stage("find workspace", "find workspace {workspace}", tags=("storage",))
def find_workspace(workspace: str) -> str:
    """Return the normalised URL of an existing workspace, which may be read-only."""
    return layout.find_workspace(workspace)


@stage("check the tables", tags=("storage",))
def check_tables(workspace: str) -> None:
    """Check the tables before a run begins: refuse those of a newer skinml, and fail on broken ones."""
    for table in TABLES:
        tables.check_table(workspace, table)
