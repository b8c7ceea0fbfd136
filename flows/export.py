"""The export flow: write the scores of one run to a file for other programs."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import dated
from skinml.records.export_files import beside
from skinml.requests.tables import ExportRequest
from tasks import export as stages
from tasks.ending import ends_as
from tasks.states import of_export
from tasks.workspace import find_workspace


def _run_name() -> str:
    return dated("export")


@flow(name="export", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_export)
def export(workspace: str, request: ExportRequest) -> dict[str, Any]:
    """Write rows that one run has added to `scores` into a CSV or Parquet file. The workspace is only read.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: which run, which of its rows and columns, and the file.
    """
    workspace = find_workspace(workspace)
    target = stages.check_target(request.out)
    choice = stages.check_columns(request)
    run = stages.find_scored(workspace, request.run)
    rows = stages.write_file(workspace, run, target, choice, request.bom)
    return {
        "run_id": run["run_id"],
        "rows": rows,
        "file": target,
        "about": beside(target),
        "of": run["done"],
        "model_version": run["model_version"],
        "health": run["health"],
        "sort": choice.sorted_by,
    }
