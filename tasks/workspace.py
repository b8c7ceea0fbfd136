"""Stages that open a workspace and check its tables before anything is written."""

from __future__ import annotations

import os
from pathlib import Path

from skinml import layout, tables
from skinml.errors import RequestError
from skinml.process.switches import CHILD_OF_UP
from skinml.schemas import TABLES
from tasks.orchestration import flow_run_context
from tasks.stage import stage


@stage("open workspace", "open workspace {workspace}")
def open_workspace(workspace: str) -> str:
    """Return the workspace's normalised URL after checking that it can be used."""
    _check_path(workspace)
    return layout.open_workspace(workspace)


@stage("find workspace", "find workspace {workspace}")
def find_workspace(workspace: str) -> str:
    """Return the normalised URL of an existing workspace, which may be read-only."""
    _check_path(workspace)
    return layout.find_workspace(workspace)


@stage("check the tables")
def check_tables(workspace: str) -> None:
    """Check the tables before a run begins: refuse those of a newer skinml, and fail on broken ones."""
    for table in TABLES:
        tables.check_table(workspace, table)


def _check_path(workspace: str) -> None:
    """Refuse a folder that a run of a deployment must not make.

    A relative path: a worker starts the run in a temporary folder, and the workspace would go with it. And
    under `skinml up`, which makes the folder when it starts, one that is missing: its disk is not mounted, or
    somebody has moved it. A second workspace in its place would be prepared and trained from the beginning.
    """
    context = flow_run_context()
    is_deployed = context is not None and context.flow_run is not None and context.flow_run.deployment_id
    if not is_deployed or "://" in workspace:
        return
    if not workspace.startswith(("/", "~")):
        raise RequestError(
            f"workspace {workspace!r}: runs of a deployment start in a temporary folder; give an absolute path "
            "or s3://bucket/prefix"
        )
    if CHILD_OF_UP in os.environ and not Path(workspace).expanduser().is_dir():
        raise RequestError(
            f"workspace {workspace}: there is no such folder, but there was one when skinml up was started; is "
            "its disk mounted?"
        )
