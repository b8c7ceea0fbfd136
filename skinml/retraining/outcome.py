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


def reason_of(reason: str, outcome: Outcome) -> str:
    """The gate's reason as the reason of what is written.

    >>> reason_of("promoted: balanced accuracy +0.12", "proposed")
    'proposed: balanced accuracy +0.12; a person decides'
    """
    if outcome == "proposed" and reason.startswith("promoted: "):
        return f"proposed: {reason.removeprefix('promoted: ')}; a person decides"
    return reason
