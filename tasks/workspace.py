"""Stages that open a workspace and check its tables, before anything is written."""

from __future__ import annotations

from skinml import layout, tables
from skinml.schemas import TABLES
from tasks.stage import stage


@stage("open workspace", "open workspace {workspace}", tags=("storage",))
def open_workspace(workspace: str) -> str:
    """The workspace's normalised URL, if it is or can become one."""
    return layout.open_workspace(workspace)


@stage("find workspace", "find workspace {workspace}", tags=("storage",))
def find_workspace(workspace: str) -> str:
    """The normalised URL of a workspace in which something has run. It may be read only."""
    return layout.find_workspace(workspace)


@stage("check the tables", tags=("storage",))
def check_tables(workspace: str) -> None:
    """Refuse tables of another skinml, and fail over broken ones, before anything is done."""
    for table in TABLES:
        tables.check_table(workspace, table)
