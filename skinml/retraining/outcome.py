"""What becomes of a challenger: the gate's decision, and whether a person has to approve it."""

from __future__ import annotations

from typing import Literal

from skinml.models.promotions import Outcome

GateDecision = Literal["promote", "keep", "propose"]


def outcome_of(decision: GateDecision, approve: str) -> Outcome:
    """Return what to write.

    >>> outcome_of("promote", "auto"), outcome_of("promote", "human"), outcome_of("propose", "auto")
    ('promoted', 'proposed', 'proposed')

    Args:
        decision: of the gate.
        approve: human or auto.
    """
    if decision == "promote":
        return "promoted" if approve == "auto" else "proposed"
    return "kept" if decision == "keep" else "proposed"


def reason_of(decision: GateDecision, reason: str, outcome: Outcome) -> str:
    """The gate's reason as the reason of what is written.

    >>> reason_of("promote", "balanced accuracy +0.120, its lower bound +0.050 is above 0", "proposed")
    'the gate would promote it: balanced accuracy +0.120, its lower bound +0.050 is above 0; a person decides'
    """
    if decision == "promote" and outcome == "proposed":
        return f"the gate would promote it: {reason}; a person decides"
    return reason
