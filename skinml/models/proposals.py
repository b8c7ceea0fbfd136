"""Proposals of the gate, which a person takes with `models promote`: which are open, compared with whom."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Proposal:
    """A version that the gate has proposed and nobody has decided on since.

    Attributes:
        model_name, model_version: the version.
        proposed_at: as its row says.
        reason: what the gate found, in one line.
        compared_with: the champion that it was compared with.
        run_id: the retraining, whose report has the page.
        evidence: the gate's criteria.
        superseded_by: the version of a later retraining's proposal; None if there is none.
        champion_now: today's champion, if it is another one than it was compared with; otherwise None.
    """

    model_name: str
    model_version: str
    proposed_at: Any
    reason: str
    compared_with: str | None
    run_id: str | None
    evidence: list[dict[str, Any]]
    superseded_by: str | None
    champion_now: str | None

    @property
    def is_current(self) -> bool:
        """Whether the gate's comparison is still about today's choice."""
        return self.superseded_by is None and self.champion_now is None

    def said(self) -> str:
        """Whether it still holds: open, or why it is out of date.

        >>> old = Proposal("cnn", "v2", None, "", "v1", None, [], "v3", None)
        >>> old.said()
        'superseded by the proposal of v3'
        """
        if self.superseded_by is not None:
            return f"superseded by the proposal of {self.superseded_by}"
        if self.champion_now is not None:
            return f"compared with {self.compared_with}, but {self.champion_now} is champion now"
        return "open"


def find_proposals(rows: Sequence[Mapping[str, Any]], champion: str | None) -> list[Proposal]:
    """Return the proposals that nobody has decided on since, oldest first.

    Args:
        rows: of `promotions`, oldest first; `evidence` is JSON.
        champion: today's champion.
    """
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        key = row["model_name"], row["model_version"]
        latest.pop(key, None)  # a later decision about a version moves it to the end
        latest[key] = row
    left = [
        row for row in latest.values() if row["decision"] == "proposed" and row["model_version"] != champion
    ]
    newest = left[-1]["model_version"] if left else None
    return [
        Proposal(
            model_name=row["model_name"],
            model_version=row["model_version"],
            proposed_at=row["promoted_at"],
            reason=row["reason"],
            compared_with=row["previous_version"],
            run_id=row["run_id"],
            evidence=json.loads(row["evidence"]),
            superseded_by=newest if row["model_version"] != newest else None,
            champion_now=champion if row["previous_version"] != champion else None,
        )
        for row in left
    ]


def proposal_of(rows: Sequence[Mapping[str, Any]], champion: str | None, version: str) -> Proposal | None:
    """Return the proposal of one version; None if there is none, or somebody has decided on it since."""
    found = find_proposals(rows, champion)
    return next((one for one in found if one.model_version == version), None)
