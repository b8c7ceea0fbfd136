"""Stages that open a workspace and check its tables before anything is written."""

from __future__ import annotations

from prefect.context import FlowRunContext

from skinml import layout, tables
from skinml.errors import RequestError
from skinml.schemas import TABLES
from tasks.stage import stage


@stage("open workspace", "open workspace {workspace}", tags=("storage",))
def open_workspace(workspace: str) -> str:
    """Return the workspace's normalised URL after checking that it can be used."""
    _check_path(workspace)
    return layout.open_workspace(workspace)


@stage("find workspace", "find workspace {workspace}", tags=("storage",))
def find_workspace(workspace: str) -> str:
    """Return the normalised URL of an existing workspace, which may be read-only."""
    _check_path(workspace)
    return layout.find_workspace(workspace)


@stage("check the tables", tags=("storage",))
def check_tables(workspace: str) -> None:
    """Check the tables before a run begins: refuse those of a newer skinml, and fail on broken ones."""
    for table in TABLES:
        tables.check_table(workspace, table)


def _check_path(workspace: str) -> None:
    """Refuse a relative path in a run of a deployment, which a worker starts in a temporary folder.

    The workspace would be made there, and be deleted with the folder when the run ends.
    """
    context = FlowRunContext.get()
    is_deployed = context is not None and context.flow_run is not None and context.flow_run.deployment_id
    if is_deployed and "://" not in workspace and not workspace.startswith(("/", "~")):
        raise RequestError(
            f"workspace {workspace!r}: runs of a deployment start in a temporary folder; give an absolute path "
            "or s3://bucket/prefix"
        )
