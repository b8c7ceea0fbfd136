"""Upkeep of a workspace's tables: merge small files, and delete files that no version and no run needs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from skinml import tables
from skinml.errors import RequestError
from skinml.layout import table_url
from skinml.models import registry
from skinml.records.old_checkpoints import old_checkpoints
from skinml.records.unpublished import record_urls, run_of
from skinml.schemas import TABLES
from skinml.storage.removal import delete
from skinml.tables import Group, Size

logger = logging.getLogger("skinml.upkeep")

SAFE_HOURS = 168
"""The shortest retention, a week: Delta keeps the files of older versions that long, and no shard takes
longer."""

RUN_ID = r"[a-z]+-(\d{8}T\d{6}Z)-[0-9a-f]{6}"
PART = re.compile(rf"part-({RUN_ID})")
"""The run_id in a part's file name; files of other writers have none."""

RECORDS = "unpublished"
"""The key under which `find_unneeded` returns the records of parts."""

CHECKPOINTS = "checkpoints"
"""The key under which it returns those files."""


def plan_merges(workspace: str) -> dict[str, list[Group]]:
    """Return for each table the groups of small files to merge."""
    return {table: tables.small_files(workspace, table) for table in TABLES}


def merge(
    workspace: str, plan: Mapping[str, Sequence[Group]], run_id: str, on_files: Callable[[int], None]
) -> None:
    """Merge the planned groups, in one commit for each table, and write a checkpoint of each table.

    Args:
        workspace: normalised URL.
        plan: the result of `plan_merges`.
        run_id: the run that merges.
        on_files: called with the number of small files that were read.
    """
    for table, groups in plan.items():
        # Not the run's id alone: its row in `runs` is committed under that.
        tables.put_together(workspace, table, groups, f"{run_id}-compact", on_files)
        tables.make_checkpoint(workspace, table)


def table_sizes(workspace: str) -> dict[str, Size]:
    """Return the number of files and bytes of the newest version of each table."""
    return {table: tables.table_size(workspace, table) for table in TABLES}


def find_unneeded(workspace: str, retention_hours: int) -> dict[str, list[str]]:
    """Return the URLs of files that no version younger than the retention and no run needs, by table.

    RECORDS holds the records of parts that are no longer needed, CHECKPOINTS the files of fits that were
    begun and not finished, whose last epoch is older than the retention.

    A run's parts are in no version until it commits, and a run over a very large archive may take longer than
    the retention. So its parts count as needed until it has written no part anywhere for that time. Files of a
    version of `samples` that a registered model was trained on are always needed.
    """
    kept = {"samples": _trained_on(workspace)}
    unneeded = {table: tables.unneeded_files(workspace, table, 0, kept.get(table, ())) for table in TABLES}
    old = {
        table: tables.unneeded_files(workspace, table, retention_hours, kept.get(table, ())) for table in TABLES
    }
    alive = {_run_of(path) for table in TABLES for path in unneeded[table] - old[table]} - {None}
    found = {
        table: [f"{table_url(workspace, table)}/{path}" for path in sorted(paths) if _run_of(path) not in alive]
        for table, paths in old.items()
    }
    before = datetime.now(UTC) - timedelta(hours=retention_hours)
    records = [url for url in record_urls(workspace) if _is_old(url, alive, before)]
    return {**found, RECORDS: records, CHECKPOINTS: old_checkpoints(workspace, before)}


def delete_unneeded(unneeded: Mapping[str, Sequence[str]], on_files: Callable[[int], None]) -> None:
    """Delete the files from `find_unneeded`; `on_files` is called with the number of deleted files."""
    for urls in unneeded.values():
        for url in urls:
            delete([url])
            on_files(1)


def _trained_on(workspace: str) -> list[int]:
    """Return the versions of `samples` that registered models were trained on."""
    found = set()
    for version in registry.versions(workspace):
        try:
            dataset = registry.find(workspace, version).dataset
        except RequestError as error:  # for example the manifest of a newer skinml
            logger.warning("old samples of a model may be deleted, its manifest cannot be read: %s", error)
            continue
        if isinstance(dataset.get("version"), int):
            found.add(dataset["version"])
    return sorted(found)


def _run_of(path: str) -> str | None:
    found = PART.match(path.rsplit("/", 1)[-1])
    return found[1] if found else None


def _is_old(record: str, alive: Collection[str | None], before: datetime) -> bool:
    """Whether a record belongs to a run that began before this time and has written no part since."""
    run_id = run_of(record)
    found = re.fullmatch(RUN_ID, run_id)
    if found is None or run_id in alive:
        return False
    return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) < before
