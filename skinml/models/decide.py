"""Decide which version is champion (first, promotion, rollback); each decision has a row in `promotions`."""

from __future__ import annotations

import getpass
import hashlib
import logging
import os
from dataclasses import dataclass
from typing import Any, Literal

from skinml.errors import RequestError
from skinml.models import promotions, registry
from skinml.models.champion import Alias, Champion, read_alias, write_champion
from skinml.models.floors import Criterion, Floors, compared_with_champion, judge_floors, missed
from skinml.models.judged import has_predictions, read_judged, read_own_predictions
from skinml.models.manifest import Manifest
from skinml.models.network import check_network
from skinml.models.promotions import Decision
from skinml.models.verification import check_files
from skinml.process.crash_points import crash_point

logger = logging.getLogger("skinml.models")

TRAIN = "skinml train"
"""Who decides about the first version."""


@dataclass(frozen=True)
class _State:
    """What the registry said before a decision."""

    workspace: str
    alias: Alias | None
    rows: list[dict[str, Any]]

    @property
    def champion(self) -> Champion | None:
        return None if self.alias is None else self.alias.champion

    @property
    def version(self) -> str | None:
        """The champion's version."""
        return None if self.alias is None else self.alias.champion.model_version

    def is_champion(self, manifest: Manifest) -> bool:
        """Whether this version is champion."""
        return self.champion is not None and self.champion.names(manifest.name, manifest.version)


def _read_state(workspace: str, alias: Alias | None) -> _State:
    """Read all decisions, after writing the row of one that was interrupted."""
    promotions.add_missing_row(workspace, None if alias is None else alias.champion)
    return _State(workspace, alias, promotions.read_rows(workspace))


def crown_first(workspace: str, manifest: Manifest, floors: Floors, run_id: str) -> Decision | None:
    """Make a version champion of a workspace that has none, if it meets the floors.

    Returns:
        The decision: `first`, or `kept` if the version does not meet the floors and there still is no champion;
        None if the workspace has a champion already, because `train` never replaces one.
    """
    state = _read_state(workspace, read_alias(workspace))
    decision_id = f"decision-{run_id.partition('-')[2]}"
    if state.champion is not None:
        found = promotions.decision_of(state.champion)  # ours, if this is a retry
        return found if found is not None and found.decision_id == decision_id else None
    judged = read_judged(workspace, manifest)
    criteria = judge_floors(judged, floors)
    below = missed(criteria)
    decision = _decision(state, manifest, "kept" if below else "first", criteria, judged.test_set).model_copy(
        update={
            "decision_id": decision_id,
            "decided_by": TRAIN,
            "run_id": run_id,
            "reason": _below(below) if below else "the first version that meets the floors",
        }
    )
    if below:
        promotions.add_row(workspace, decision)
        return decision
    return decision if _write(state, decision) else None


def promote(
    workspace: str, manifest: Manifest, floors: Floors, reason: str | None, by: str | None, force: bool
) -> Decision:
    """Make a version champion.

    Args:
        workspace: normalised URL.
        manifest: of the version.
        floors: what it must meet.
        reason: why; None if nobody said.
        by: who decides; None for the user of this process.
        force: take a version below the floors, and record it as forced.

    Raises:
        RequestError: it is champion already, a file was changed, the network is another one's, it is below the
            floors, or somebody else has promoted a version in the meantime. Nothing was written.
    """
    state = _read_state(workspace, read_alias(workspace))
    if state.is_champion(manifest):
        raise RequestError(f"model {manifest.version} is champion already")
    _check(state, manifest)
    judged = read_judged(workspace, manifest)
    floors_met = judge_floors(judged, floors)
    below = missed(floors_met)
    if below and not force:
        raise RequestError(
            f"model {manifest.version} is below the floors: {_below(below)}; --force promotes it"
        )
    criteria = [*floors_met, *_against_champion(state, manifest)]
    for one in criteria:
        if one.verdict == "worse":
            logger.warning(
                "%s: this version is worse, %.4f to %.4f", one.criterion, *(one.interval or (0.0, 0.0))
            )
    decision = _decision(state, manifest, "forced" if below else "promoted", criteria, judged.test_set)
    said = reason or _below(below) or "no reason was given"
    return _written(state, decision.model_copy(update={"reason": said, "decided_by": by or _user()}))


def roll_back(workspace: str, reason: str | None, by: str | None) -> Decision:
    """Make the champion's predecessor champion again.

    Raises:
        RequestError: there is no champion or no predecessor, or a file of it was changed.
    """
    alias = read_alias(workspace)
    if alias is None:  # before the rows are read, which loads pandas
        raise RequestError(f"{workspace} has no champion: there is nothing to roll back")
    state = _read_state(workspace, alias)
    before = promotions.predecessor(state.rows, alias.champion.model_version)
    if before is None:
        raise RequestError(
            f"champion {state.version} has no predecessor in promotions; use skinml models promote VERSION"
        )
    manifest = registry.find(workspace, before, "models rollback to")
    _check(state, manifest)
    decision = _decision(state, manifest, "rolled_back", [], None)
    said = reason or f"rolled back from {state.version}"
    return _written(state, decision.model_copy(update={"reason": said, "decided_by": by or _user()}))


def _check(state: _State, manifest: Manifest) -> None:
    """Refuse a version that is not what was registered, or that cannot score."""
    known = {
        row["manifest_sha256"]
        for row in state.rows
        if (row["model_name"], row["model_version"]) == (manifest.name, manifest.version)
    } - {None}
    if known and _manifest_sha256(state.workspace, manifest) not in known:
        raise RequestError(
            f"model {manifest.version}: its manifest was changed after a decision about it; restore the file"
        )
    check_files(state.workspace, manifest)
    check_network(state.workspace, manifest)


def _against_champion(state: _State, manifest: Manifest) -> list[Criterion]:
    """What a paired comparison with the champion shows; nothing without a champion or without predictions."""
    if state.champion is None:
        return []
    try:
        champion = registry.find(state.workspace, registry.CHAMPION)
        if not (has_predictions(champion) and has_predictions(manifest)):
            raise RequestError("one of the two keeps no predictions")
        from skinml.evaluation.comparison import compare

        first, second = (read_own_predictions(state.workspace, one) for one in (champion, manifest))
        return compared_with_champion(compare(first, second)["metrics"])
    except (RequestError, ImportError) as error:
        logger.info("not compared with champion %s: %s", state.version, error)
        return []


def _decision(
    state: _State,
    manifest: Manifest,
    kind: Literal["first", "promoted", "forced", "kept", "rolled_back"],
    criteria: list[Criterion],
    test_set: str | None,
) -> Decision:
    return Decision(
        decision_id=promotions.new_id(),
        promoted_at=promotions.next_moment(state.rows),
        model_name=manifest.name,
        model_version=manifest.version,
        previous_version=state.version,
        decision=kind,
        reason="",
        evidence=[one.model_dump(mode="json") for one in criteria],
        test_looks=promotions.looks_at(state.rows, test_set),
        decided_by="",
        run_id=None,
        manifest_sha256=_manifest_sha256(state.workspace, manifest),
        test_set=test_set,
    )


def _written(state: _State, decision: Decision) -> Decision:
    """Write a decision, or say who was first."""
    if not _write(state, decision):
        now = read_alias(state.workspace)
        named = "another one" if now is None else now.champion.model_version
        raise RequestError(
            f"the champion was {state.version or 'none'} and now is {named}: somebody else decided at the same"
            f" moment, and {decision.model_version} was not promoted; look at skinml models history"
        )
    return decision


def _write(state: _State, decision: Decision) -> bool:
    """Write the alias, then the row. False, and nothing is written, if the alias is not what was read."""
    champion = Champion(
        model_name=decision.model_name,
        model_version=decision.model_version,
        manifest_sha256=decision.manifest_sha256,
        promoted_at=decision.promoted_at.isoformat(timespec="seconds"),
        decision=decision.model_dump(mode="json"),
    )
    crash_point(21)
    if not write_champion(state.workspace, champion, state.alias):
        return False
    crash_point(22)
    promotions.add_row(state.workspace, decision)
    return True


def _manifest_sha256(workspace: str, manifest: Manifest) -> str:
    data = registry.manifest_bytes(workspace, manifest.name, manifest.version)
    return hashlib.sha256(data).hexdigest()


def _below(criteria: list[Criterion]) -> str:
    return "; ".join(one.in_words() for one in criteria)


def _user() -> str:
    """The user of the operating system, without the machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name; KeyError until Python 3.13
        return f"user {os.getuid()}"
