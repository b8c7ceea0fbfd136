"""Write what the gate decided about a challenger: promoted, kept or proposed, once for each retraining."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from skinml import tables
from skinml.models import promotions
from skinml.models.champion import Alias, read_alias
from skinml.models.deciding import (
    State,
    check_version,
    decision_id_of,
    new_decision,
    read_state,
    write_decision,
)
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision, Outcome

logger = logging.getLogger("skinml.models")

RETRAIN = "skinml retrain"
"""Who decides if nobody has to approve."""


def decide_challenger(
    workspace: str,
    challenger: Manifest,
    compared_with: Alias,
    outcome: Outcome,
    reason: str,
    evidence: Sequence[Mapping[str, Any]],
    test_set: str,
    test_looks: int,
    run_id: str,
) -> Decision:
    """Write the decision about a challenger, once for a retraining.

    `promoted` replaces the champion only if it is still the one that the challenger was compared with; if not,
    the challenger is proposed, and a person decides. A call that failed can be repeated.

    Args:
        workspace: normalised URL.
        challenger: manifest of the version.
        compared_with: the champion's record as it was read before the comparison.
        outcome: what was decided.
        reason: why, in one line.
        evidence: every criterion.
        test_set: which test images were looked at.
        test_looks: how often decisions have looked at them, this one included.
        run_id: the retraining.

    Returns:
        The decision as it was written.

    Raises:
        RequestError: `promoted`, and a file of the challenger was changed, or it cannot score. Nothing
            was written.
    """
    decision_id = decision_id_of(run_id)
    state = read_state(workspace, read_alias(workspace))
    written = _written_before(state, decision_id)
    if written is not None:
        return written
    before = State(workspace, compared_with, state.rows)
    decision = new_decision(before, challenger, outcome, evidence, test_set).model_copy(
        update={
            "decision_id": decision_id,
            "decided_by": RETRAIN,
            "run_id": run_id,
            "reason": reason,
            "test_looks": test_looks,
        }
    )
    if outcome == "promoted":
        check_version(before, challenger)
        if write_decision(before, decision):
            return decision
        now = read_alias(workspace)
        if now is not None and (found := _of_alias(now, decision_id)) is not None:
            return found
        named = "none" if now is None else now.champion.model_version
        said = f"compared with {before.version}, but the champion is {named} by now; the gate said: {reason}"
        decision = decision.model_copy(update={"decision": "proposed", "reason": said})
        logger.warning("%s is not promoted: %s", challenger.version, said)
    promotions.add_row(workspace, decision)
    return decision


def _written_before(state: State, decision_id: str) -> Decision | None:
    """The decision with this id, if an earlier attempt of this stage has written it."""
    found = None if state.alias is None else _of_alias(state.alias, decision_id)
    if found is not None or not tables.transactions(state.workspace, "promotions", [decision_id]):
        return found
    return promotions.decision_in_row(state.rows, decision_id)


def _of_alias(alias: Alias, decision_id: str) -> Decision | None:
    decision = promotions.decision_of(alias.champion)
    return decision if decision is not None and decision.decision_id == decision_id else None
