"""Stages of the tables' upkeep: merge small files, delete unneeded files."""

from __future__ import annotations

import logging
from typing import Any

from skinml.records import upkeep
from skinml.records.runs import Run
from skinml.tables import Size
from tasks import artifacts
from tasks.stage import stage

logger = logging.getLogger("skinml.compact")


@stage("measure the tables")
def measure(workspace: str) -> dict[str, Size]:
    """Return files and bytes of each table's newest version."""
    return upkeep.table_sizes(workspace)


@stage("merge small files")
def merge_small_files(workspace: str, run: Run, dry_run: bool) -> dict[str, int]:
    """Merge small files in one commit per table, which changes no row; return their number by table."""
    plan = upkeep.plan_merges(workspace)
    small = {table: sum(len(group) for group in groups) for table, groups in plan.items()}
    if not dry_run:
        with artifacts.progress("compact-merge", "put together", sum(small.values()), "files") as progress:
            upkeep.merge(workspace, plan, run.run_id, progress.advance)
    return small


@stage("delete unneeded files", "delete files not needed for {retention_hours} hours")
def delete_unneeded_files(workspace: str, retention_hours: int, dry_run: bool) -> dict[str, int]:
    """Delete files that no version and no run needs; return their number by table."""
    unneeded = upkeep.find_unneeded(workspace, retention_hours)
    counts = {table: len(urls) for table, urls in unneeded.items()}
    if not dry_run:
        with artifacts.progress("compact-delete", "delete", sum(counts.values()), "files") as progress:
            upkeep.delete_unneeded(unneeded, progress.advance)
    return counts


def summarise(
    before: dict[str, Size], after: dict[str, Size], small: dict[str, int], unneeded: dict[str, int]
) -> dict[str, dict[str, Any]]:
    """Summarise what was done to each existing table, or would be in a dry run."""
    return {
        table: {
            "files_before": size.files,
            "files_after": after[table].files,
            "bytes_before": size.size_bytes,
            "bytes_after": after[table].size_bytes,
            "small_files": small[table],
            "vacuumed": unneeded[table],
        }
        for table, size in before.items()
        if size.files
    }
