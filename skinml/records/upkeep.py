"""Upkeep of a workspace's tables: put small files together, delete what no version and no run needs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from skinml import tables
from skinml.errors import RequestError
from skinml.layout import table_url
from skinml.models import registry
from skinml.records.unpublished import record_urls, run_of
from skinml.schemas import TABLES
from skinml.storage.removal import delete
from skinml.tables import Group, Size

logger = logging.getLogger("skinml.upkeep")

SAFE_HOURS = 168
"""A week: for so long Delta itself keeps the files of older versions, and no shard takes as long."""

RUN_ID = r"[a-z]+-(\d{8}T\d{6}Z)-[0-9a-f]{6}"
PART = re.compile(rf"part-({RUN_ID})")
"""Whose part a file is, by its name; other writers' files are nobody's."""

RECORDS = "unpublished"
"""Under which name `find_unneeded` gives the records of parts."""


def plan_merges(workspace: str) -> dict[str, list[Group]]:
    """For each table, the groups of small files that should be one."""
    return {table: tables.small_files(workspace, table) for table in TABLES}


def merge(
    workspace: str, plan: Mapping[str, Sequence[Group]], run_id: str, on_files: Callable[[int], None]
) -> None:
    """Do what was planned, in one commit a table, and write a checkpoint of each table's state.

    Args:
        workspace: normalised URL.
        plan: what `plan_merges` found.
        run_id: of the run that does it.
        on_files: is told how many small files were read.
    """
    for table, groups in plan.items():
        # Not the run's id alone: under that its row comes into `runs`.
        tables.put_together(workspace, table, groups, f"{run_id}-compact", on_files)
        tables.make_checkpoint(workspace, table)


def table_sizes(workspace: str) -> dict[str, Size]:
    """Files and bytes of the newest version of each table."""
    return {table: tables.table_size(workspace, table) for table in TABLES}


def find_unneeded(workspace: str, retention_hours: int) -> dict[str, list[str]]:
    """Files that neither a version younger than the retention nor a run can need: their URLs, by table.

    Under RECORDS stand the records of parts that a run could have taken over, once these parts are unneeded.

    A run's parts are in no version until it commits, and a run over a very large archive may go on for longer
    than the retention. So what a run has left is unneeded only once it has written no part anywhere for that
    time. What a version of `samples` has is never unneeded if a registered model was trained on it.
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
    return {**found, RECORDS: [url for url in record_urls(workspace) if _is_old(url, alive, before)]}


def delete_unneeded(unneeded: Mapping[str, Sequence[str]], on_files: Callable[[int], None]) -> None:
    """Delete what `find_unneeded` found; `on_files` is told how many files went."""
    for urls in unneeded.values():
        for url in urls:
            delete([url])
            on_files(1)


def _trained_on(workspace: str) -> list[int]:
    """The versions of `samples` that registered models were trained on."""
    found = set()
    for version in registry.versions(workspace):
        try:
            dataset = registry.find(workspace, version).dataset
        except RequestError as error:  # such as a newer skinml's manifest
            logger.warning("the samples that a model was trained on are not known and not kept: %s", error)
            continue
        if isinstance(dataset.get("version"), int):
            found.add(dataset["version"])
    return sorted(found)


def _run_of(path: str) -> str | None:
    found = PART.match(path.rsplit("/", 1)[-1])
    return found[1] if found else None


def _is_old(record: str, alive: Collection[str | None], before: datetime) -> bool:
    """Whether a record is of a run that began before this moment and has written no part since."""
    run_id = run_of(record)
    found = re.fullmatch(RUN_ID, run_id)
    if found is None or run_id in alive:
        return False
    return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) < before
