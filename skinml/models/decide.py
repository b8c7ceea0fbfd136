"""Decide which version is champion (first, promotion, rollback); each decision has a row in `promotions`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from skinml.errors import RequestError
from skinml.models import promotions, registry
from skinml.models.champion import read_alias
from skinml.models.deciding import (
    State,
    check_version,
    decision_id_of,
    new_decision,
    read_state,
    user_name,
    write_decision,
)
from skinml.models.floors import Criterion, Floors, compared_with_champion, judge_floors, missed
from skinml.models.judged import has_predictions, read_judged, read_own_predictions
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision, Kind
from skinml.models.proposals import Proposal, proposal_of

logger = logging.getLogger("skinml.models")

TRAIN = "skinml train"
"""Who decides about the first version."""


def crown_first(workspace: str, manifest: Manifest, floors: Floors, run_id: str) -> Decision | None:
    """Make a version champion of a workspace that has none, if it meets the floors.

    Returns:
        The decision: `first`, or `kept` if the version does not meet the floors and there still is no champion;
        None if the workspace has a champion already, because `train` never replaces one.
    """
    state = read_state(workspace, read_alias(workspace))
    decision_id = decision_id_of(run_id)
    if state.champion is not None:
        found = promotions.decision_of(state.champion)  # ours, if this is a retry
        return found if found is not None and found.decision_id == decision_id else None
    judged = read_judged(workspace, manifest)
    criteria = judge_floors(judged, floors)
    below = missed(criteria)
    decision = new_decision(
        state, manifest, "kept" if below else "first", criteria, judged.test_set
    ).model_copy(
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
    return decision if write_decision(state, decision) else None


def promote(
    workspace: str, manifest: Manifest, floors: Floors, reason: str | None, by: str | None, force: bool
) -> Decision:
    """Make a version champion. One that the gate has proposed is promoted with the gate's evidence.

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
    state = read_state(workspace, read_alias(workspace))
    if state.is_champion(manifest):
        raise RequestError(f"model {manifest.version} is champion already")
    check_version(state, manifest)
    judged = read_judged(workspace, manifest)
    floors_met = judge_floors(judged, floors)
    below = missed(floors_met)
    if below and not force:
        raise RequestError(
            f"model {manifest.version} is below the floors: {_below(below)}; --force promotes it"
        )
    proposal = proposal_of(state.rows, state.version, manifest.version)
    kind: Kind = "forced" if below else "promoted"
    if proposal is not None and proposal.is_current:
        # The gate has looked at the test images for this very choice, and its look is counted: no second one.
        judged_now = {one.criterion for one in floors_met}
        kept = [one for one in proposal.evidence if one["criterion"] not in judged_now]
        decision = new_decision(state, manifest, kind, [*floors_met, *kept], None)
    else:
        against = _against_champion(state, manifest)
        _warn(against, proposal)
        decision = new_decision(state, manifest, kind, [*floors_met, *against], judged.test_set)
    said = reason or _below(below) or _of_proposal(proposal) or "no reason was given"
    return _written(state, decision.model_copy(update={"reason": said, "decided_by": by or user_name()}))


def roll_back(workspace: str, reason: str | None, by: str | None) -> Decision:
    """Make the champion's predecessor champion again.

    Raises:
        RequestError: there is no champion or no predecessor, or a file of it was changed.
    """
    alias = read_alias(workspace)
    if alias is None:  # before the rows are read, which loads pandas
        raise RequestError(f"{workspace} has no champion: there is nothing to roll back")
    state = read_state(workspace, alias)
    before = promotions.predecessor(state.rows, alias.champion.model_version)
    if before is None:
        raise RequestError(
            f"champion {state.version} has no predecessor in promotions; use skinml models promote VERSION"
        )
    manifest = registry.find(workspace, before, "models rollback to")
    check_version(state, manifest)
    decision = new_decision(state, manifest, "rolled_back", [], None)
    said = reason or f"rolled back from {state.version}"
    return _written(state, decision.model_copy(update={"reason": said, "decided_by": by or user_name()}))


def _of_proposal(proposal: Proposal | None) -> str | None:
    """The gate's reason, if it still is about today's choice."""
    if proposal is None:
        return None
    return (
        proposal.reason if proposal.is_current else f"no reason was given; the proposal was {proposal.said()}"
    )


def _warn(criteria: Sequence[Criterion], proposal: Proposal | None) -> None:
    if proposal is not None:
        logger.warning("the proposal of %s is %s", proposal.model_version, proposal.said())
    for one in criteria:
        if one.verdict == "worse":
            logger.warning(
                "%s: this version is worse, %.4f to %.4f", one.criterion, *(one.interval or (0.0, 0.0))
            )


def _against_champion(state: State, manifest: Manifest) -> list[Criterion]:
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


def _written(state: State, decision: Decision) -> Decision:
    """Write a decision, or say who was first."""
    if not write_decision(state, decision):
        now = read_alias(state.workspace)
        named = "another one" if now is None else now.champion.model_version
        raise RequestError(
            f"the champion was {state.version or 'none'} and now is {named}: somebody else decided at the same"
            f" moment, and {decision.model_version} was not promoted; look at skinml models history"
        )
    return decision


def _below(criteria: list[Criterion]) -> str:
    return "; ".join(one.in_words() for one in criteria)
