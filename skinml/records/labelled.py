"""Count the labelled lesions that have come since the last retraining looked: "37 of 50 until retraining"."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError, RunError, StorageError
from skinml.models import promotions, registry
from skinml.models.champion import Champion, readable_champion

logger = logging.getLogger("skinml.labelled")


@dataclass(frozen=True)
class NewLesions:
    """The labelled lesions that no retraining has looked at.

    Attributes:
        new: how many lesions are in `samples` now that were not in the version below.
        since_version: the version of `samples` that the last retraining used, or the champion's training if
            that was later; None if nobody has trained yet, so that all lesions are new, or if that version
            cannot be read any more.
        since: when; lesions that were prepared later are counted if the version cannot be read. None if nobody
            has trained yet.
    """

    new: int
    since_version: int | None
    since: datetime | None

    def in_words(self, needed: int) -> str:
        """The count against the number at which a retraining is due.

        >>> NewLesions(37, 4, None).in_words(50)
        '37 of 50 new lesions until retraining'
        >>> NewLesions(61, 4, None).in_words(50)
        '61 new lesions, 50 are needed: retraining is due'
        """
        if self.new < needed:
            return f"{self.new} of {needed} new lesions until retraining"
        return f"{self.new} new lesions, {needed} are needed: retraining is due"


@dataclass(frozen=True)
class _Look:
    """A training: the version of `samples` it used, if that is known, and when it ended."""

    version: int | None
    moment: datetime


def count_new_lesions(workspace: str) -> NewLesions:
    """Count the lesions that have come since the last look.

    A look is a decision that a run made (`train` about a first champion, `retrain` about a challenger), or the
    training of the present champion. The latest one counts. A retraining that failed or was killed before its
    decision is none, so it is still due.

    Args:
        workspace: normalised URL. Without samples, nothing is new.

    Raises:
        StorageError: storage failed.
    """
    look = _last_look(workspace)
    if look is None:
        return NewLesions(_count_new(_read(workspace), set()), None, None)
    before = _lesions_at(workspace, look.version)
    if before is None:
        return NewLesions(_prepared_after(workspace, look.moment), None, look.moment)
    return NewLesions(_count_new(_read(workspace), before), look.version, look.moment)


def _last_look(workspace: str) -> _Look | None:
    champion = readable_champion(workspace)
    rows: list[dict[str, Any]] = promotions.read_rows(workspace)
    missing = promotions.missing_row(workspace, champion)  # its process died after it had written the alias
    rows += [] if missing is None else [missing.row()]
    looks = [_of_row(workspace, row) for row in rows if row["run_id"] is not None]
    looks += [] if champion is None else _of_champion(workspace, champion)
    return max(looks, key=lambda look: look.moment, default=None)


def _of_row(workspace: str, row: dict[str, Any]) -> _Look:
    version = row["samples_version"]
    if version is None:  # of an older skinml
        version = _trained_on(workspace, row["model_version"])
    return _Look(version, row["promoted_at"])


def _of_champion(workspace: str, champion: Champion) -> list[_Look]:
    try:
        manifest = registry.read_manifest(workspace, champion.model_name, champion.model_version, champion)
    except (RequestError, StorageError) as error:  # such as a bundle that is gone
        logger.debug("the champion's samples are not known: %s", error)
        return []
    return [_Look(manifest.samples_version(), datetime.fromisoformat(manifest.created_at))]


def _trained_on(workspace: str, version: str) -> int | None:
    try:
        return registry.find(workspace, version).samples_version()
    except RequestError:
        return None


def _lesions_at(workspace: str, version: int | None) -> set[str] | None:
    """The lesions of a version of `samples`; None if it cannot be read any more."""
    newest = tables.version(workspace, "samples")
    if version is None or newest is None or version > newest:  # the table was made anew
        return None
    try:
        return _lesions(tables.read(workspace, "samples", ["lesion_id"], at=version))
    except RunError as error:  # its log entry is gone
        problem: Exception = error
    except StorageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        problem = error  # another program has deleted its files
    logger.warning(
        "lesions are counted by the time of preparation: version %d of samples: %s", version, problem
    )
    return None


def _read(workspace: str, at: int | None = None) -> pa.Table:
    return tables.read(workspace, "samples", ["lesion_id", "split_group"], at=at)


def _count_new(rows: pa.Table, before: set[str]) -> int:
    """Count the lesions without a lesion id from before.

    Lesions that share a duplicate image count as one: a photograph that comes again as another lesion is none.
    """
    rows = rows.filter(pc.is_valid(rows["lesion_id"]))
    groups = pc.coalesce(rows["split_group"], rows["lesion_id"])
    known = pc.is_in(rows["lesion_id"], pa.array(sorted(before), pa.string()))
    by_group = pa.table({"group": groups, "known": known}).group_by("group").aggregate([("known", "max")])
    return sum(not one for one in by_group["known_max"].to_pylist())


def _lesions(rows: pa.Table) -> set[str]:
    return {lesion for lesion in rows["lesion_id"].unique().to_pylist() if lesion is not None}


def _prepared_after(workspace: str, moment: datetime) -> int:
    """How many lesions have no image that was prepared before."""
    rows = tables.read(workspace, "samples", ["lesion_id", "split_group", "prepared_at"])
    earlier = pc.less_equal(rows["prepared_at"], pa.scalar(moment, pa.timestamp("us", "UTC")))
    return _count_new(rows, _lesions(rows.filter(earlier)))


def lesions_added(workspace: str, before: int | None, after: int | None) -> int:
    """Count the lesions of a version of `samples` that were not in an earlier one; None is no table."""
    if after is None or before == after:
        return 0
    earlier = set() if before is None else _lesions(tables.read(workspace, "samples", ["lesion_id"], at=before))
    return _count_new(_read(workspace, after), earlier)
