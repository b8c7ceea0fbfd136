"""What can be wrong with a workspace: a kind, its figures, and the sentence that may leave this machine.

A notification is sent to people and services outside. So its sentences are made here, of fixed words and of
numbers alone: no uri, no image id, no path and no text of an error can be in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "storage",
    "missing",
    "table",
    "never",
    "late",
    "stuck",
    "dead",
    "drifted",
    "quarantine",
    "champion",
    "no_champion",
    "future",
]

TOLD: Mapping[Kind, str] = {
    "storage": "the storage of the workspace does not answer or refuses access",
    "missing": "the workspace is not there any more",
    "table": "a table of the workspace cannot be read",
    "never": "nothing has been scored yet",
    "late": "the last good night ended {hours:.0f} hours ago; {allowed:.0f} are allowed",
    "stuck": "runs that have been running for more than {allowed:.0f} hours: {runs:d}",
    "dead": "runs that died without recording their end: {runs:d}",
    "drifted": "tonight's images differ from those the model was tested on: do not trust its scores",
    "quarantine": "{recent:.0%} of {images:d} new images could not be used, {earlier:.0%} before",
    "champion": "the champion's files are not those that were registered",
    "no_champion": "there is no champion, so no night can be scored",
    "future": "rows of runs dated in the future: {rows:d}, by up to {hours:.0f} hours; a clock was wrong",
}
"""The sentence of each kind. Its fields are the figures of the problem."""


@dataclass(frozen=True)
class Problem:
    """One reason why a workspace is not healthy.

    Attributes:
        kind: what is wrong.
        detail: one line for the people of this machine; it may name places, runs and errors.
        figures: numbers alone; what `told` may contain.
    """

    kind: Kind
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """The sentence for a notification."""
        return TOLD[self.kind].format(**self.figures)
