"""The compact flow: merge the tables' small files, and delete files that nobody needs any more."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import dated
from skinml.records.runs import begin
from skinml.requests.tables import CompactRequest
from tasks import show
from tasks import upkeep as stages
from tasks.ending import ends_as
from tasks.runs import begin_run, recorded
from tasks.states import of_compaction
from tasks.workspace import check_tables, find_workspace, open_workspace


def _run_name() -> str:
    return dated("compact")


@flow(name="compact", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_compaction)
def compact(workspace: str, request: CompactRequest) -> dict[str, Any]:
    """Put small files of every table together, then delete what no version and no run has needed for a week.

    It may run beside any other flow: no row changes, and what another run has written or published stays.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: how old files must be to be deleted.
    """
    run = begin("compact", request.model_dump(mode="json"))
    if request.dry_run:
        workspace = find_workspace(workspace)
        check_tables(workspace)
        sizes = stages.measure(workspace)
        small = stages.merge_small_files(workspace, run, dry_run=True)
        unneeded = stages.delete_unneeded_files(workspace, request.retention_hours, dry_run=True)
        return {"tables": stages.summarise(sizes, sizes, small, unneeded), "dry_run": True, "run_id": None}

    with recorded(workspace, run) as record:
        workspace = open_workspace(find_workspace(workspace))
        check_tables(workspace)

        begin_run(record, workspace)  # it finishes dead runs, whose quarantine would look unneeded
        before = stages.measure(workspace)
        small = stages.merge_small_files(workspace, run, dry_run=False)
        unneeded = stages.delete_unneeded_files(workspace, request.retention_hours, dry_run=False)
        found = stages.summarise(before, stages.measure(workspace), small, unneeded)

    show.show_compacted(found)
    return {"tables": found, "dry_run": False, "run_id": run.run_id, "seconds": record.row["seconds"]}
