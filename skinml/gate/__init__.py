"""Decide whether a retrained model replaces the champion, by criteria that are fixed beforehand.

docs/change-control.md says what they are and why. SciPy, of the extra `train`, is loaded when a
model is judged.
"""

from skinml.gate.judge import judge_challenger
from skinml.gate.looks import budget_left, looks_spent
from skinml.gate.rules import Rules
from skinml.gate.smallest import smallest_gain
from skinml.gate.verdict import Verdict

__all__ = ["Rules", "Verdict", "budget_left", "judge_challenger", "looks_spent", "smallest_gain"]
