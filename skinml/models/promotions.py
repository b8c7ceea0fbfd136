"""The table `promotions`: one row per decision about the champion, never changed afterwards.

Order of a decision: first the alias (`champion.json`, which holds the whole decision), then the row. Whoever
decides next writes a row that is missing before it replaces the alias, so no row is ever lost.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from skinml import tables
from skinml.layout import models_url
from skinml.models.champion import Champion, read_champion_if_any
from skinml.models.manifest import Sha256
from skinml.models.names import Name, is_name
from skinml.schemas import PROMOTIONS
from skinml.storage.objects import names

logger = logging.getLogger("skinml.models")

ALIAS = "champion"

MADE_CHAMPION = ("first", "promoted", "forced", "rolled_back")
"""Decisions after which the alias names the version that was decided on."""


Outcome = Literal["promoted", "kept", "proposed"]
"""What a retraining decides."""

Kind = Literal["first", "promoted", "forced", "kept", "proposed", "rolled_back"]


class Decision(BaseModel):
    """One decision, as `champion.json` holds it and as its row says it.

    Attributes:
        decision_id: `decision-`, UTC time, random end: the transaction that writes the row once.
        promoted_at: when.
        alias: champion.
        model_name, model_version: the version decided on.
        previous_version: what the alias named before; None if there was no champion.
        decision: first, promoted, forced, kept, proposed or rolled_back.
        reason: in one line.
        evidence: every criterion (`floors.Criterion`).
        test_looks: how often a decision has looked at this test set, this one included; None if it did not.
        decided_by: a user of the operating system, or what --by said, or skinml train.
        run_id: the run that decided; None if a person did.
        manifest_sha256: of the version's manifest.
        test_set: which test images (`judged.test_set_of`); None likewise.
        samples_version: of `samples`, that the version was trained on; None if it is not known.

    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    decision_id: str
    promoted_at: datetime
    alias: str = ALIAS
    model_name: Name
    model_version: Name
    previous_version: Name | None
    decision: Kind
    reason: str
    evidence: list[dict[str, Any]]
    test_looks: int | None
    decided_by: str
    run_id: str | None
    manifest_sha256: Sha256
    test_set: str | None
    samples_version: int | None = None

    def row(self) -> dict[str, Any]:
        """The columns of PROMOTIONS."""
        fields = self.model_dump(exclude={"decision_id"})
        return {**fields, "evidence": json.dumps(self.evidence, allow_nan=False)}


_DECISION = TypeAdapter(Decision)


def new_id() -> str:
    """The id of a decision."""
    return f"decision-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def read_rows(workspace: str) -> list[dict[str, Any]]:
    """All rows, oldest first."""
    rows: list[dict[str, Any]] = tables.read(workspace, "promotions").to_pylist()
    return sorted(rows, key=lambda row: row["promoted_at"])


def history(workspace: str) -> list[dict[str, Any]]:
    """All decisions, oldest first, with times as text.

    At the end stands the one whose row is missing, if its process died after it had written the alias.
    """
    missing = missing_row(workspace, read_champion_if_any(workspace))
    rows = [*read_rows(workspace), *([] if missing is None else [missing.row()])]
    return [{**row, "promoted_at": f"{row['promoted_at']:%Y-%m-%dT%H:%M:%SZ}"} for row in rows]


def champions(workspace: str) -> frozenset[tuple[str, str]]:
    """Every (model_name, model_version) that is champion or ever was.

    The champion of a workspace from before the table existed has no row. After the first promotion, the table
    names it only as `previous_version`, without its model's name: then all models' names count with it, because
    versions are unique.
    """
    columns = ["alias", "model_name", "model_version", "previous_version", "decision"]
    rows = [row for row in tables.read(workspace, "promotions", columns).to_pylist() if _made_champion(row)]
    found = {(row["model_name"], row["model_version"]) for row in rows}
    unnamed = {row["previous_version"] for row in rows} - {None, *(version for _, version in found)}
    if unnamed:
        found |= set(product(filter(is_name, names(models_url(workspace))), unnamed))
    now = read_champion_if_any(workspace)
    return frozenset(found if now is None else found | {(now.model_name, now.model_version)})


def decision_of(champion: Champion) -> Decision | None:
    """The decision in `champion.json`; None if there is none, or it is of another version: edited by hand."""
    if champion.decision is None:
        return None
    try:
        decision = _DECISION.validate_python(champion.decision)
    except ValidationError:
        return None
    same = champion.names(decision.model_name, decision.model_version)
    return decision if same and decision.promoted_at.tzinfo is not None else None


def decision_in_row(rows: Sequence[Mapping[str, Any]], decision_id: str) -> Decision | None:
    """The decision of a run as its row says it; None if no row is of that run."""
    tail = decision_id.partition("-")[2]
    for row in rows:
        if row["run_id"] is not None and row["run_id"].partition("-")[2] == tail:
            return Decision(**{**row, "evidence": json.loads(row["evidence"]), "decision_id": decision_id})
    return None


def missing_row(workspace: str, champion: Champion | None) -> Decision | None:
    """The decision whose row is missing, because its process died after it had written the alias."""
    decision = None if champion is None else decision_of(champion)
    if decision is None or tables.transactions(workspace, "promotions", [decision.decision_id]):
        return None
    return decision


def add_row(workspace: str, decision: Decision) -> None:
    """Write the decision's row, once."""
    tables.append(
        workspace, "promotions", pa.Table.from_pylist([decision.row()], PROMOTIONS), decision.decision_id
    )


def add_missing_row(workspace: str, champion: Champion | None) -> None:
    """Write the row of a decision whose process died before it had."""
    decision = missing_row(workspace, champion)
    if decision is not None:
        add_row(workspace, decision)
        logger.warning(
            "the promotion of %s at %s was interrupted; its row in promotions is written now",
            *(decision.model_version, f"{decision.promoted_at:%Y-%m-%dT%H:%M:%SZ}"),
        )


def next_moment(rows: Sequence[Mapping[str, Any]]) -> datetime:
    """Now, or a moment after the last row if that is later, because the clocks of two machines differ."""
    last: list[datetime] = [row["promoted_at"] + timedelta(microseconds=1) for row in rows[-1:]]
    return max([datetime.now(UTC), *last])


def predecessor(rows: Sequence[Mapping[str, Any]], version: str) -> str | None:
    """The version that was champion before this one, as a stack: a promotion adds to it, a rollback takes off.

    So two rollbacks in a row go back by two versions, not to and fro. Also a version that the rows name only as
    `previous_version` counts: the champion of a workspace from before the table existed, or one that somebody
    wrote into `champion.json`.

    >>> first = {"alias": "champion", "decision": "first", "model_version": "v1", "previous_version": None}
    >>> second = {"alias": "champion", "decision": "promoted", "model_version": "v2", "previous_version": "v1"}
    >>> predecessor([first, second], "v2")
    'v1'
    >>> back = {"alias": "champion", "decision": "rolled_back", "model_version": "v1", "previous_version": "v2"}
    >>> predecessor([first, second, back], "v1") is None
    True

    Args:
        rows: oldest first.
        version: the present champion.

    """
    stack: list[str] = []
    for row in rows:
        if not _made_champion(row):
            continue
        before, after = row["previous_version"], row["model_version"]
        if before is not None and stack[-1:] != [before]:
            stack.append(before)
        if row["decision"] == "rolled_back" and after in stack:
            while stack[-1] != after:
                stack.pop()
        else:
            stack.append(after)
    if stack[-1:] != [version]:  # champion.json was edited by hand since the last row
        return stack[-1] if stack else None
    return stack[-2] if len(stack) > 1 else None


def _made_champion(row: Mapping[str, Any]) -> bool:
    return row["alias"] == ALIAS and row["decision"] in MADE_CHAMPION


def last_champion(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The version that the last row about the alias made champion."""
    return next((row["model_version"] for row in reversed(rows) if _made_champion(row)), None)


def looks_at(rows: Sequence[Mapping[str, Any]], test_set: str | None) -> int | None:
    """How often decisions have looked at a test set, a new one included; None if that one looks at none."""
    return None if test_set is None else 1 + sum(1 for row in rows if row["test_set"] == test_set)
