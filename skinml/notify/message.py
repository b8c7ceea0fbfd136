"""What is told: sentences of fixed words and numbers, in JSON for a webhook and in plain text for a mail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from skinml import DISCLAIMER
from skinml.checkup.problems import Problem

LONGEST_NAME = 60


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        name: what the receiver calls the workspace: the last part of its URL.
        problems: empty if it is healthy.
        last_completed: when the last good night ended; None if unknown.
        checked_at: when this was found out.
    """

    name: str
    problems: Sequence[Problem]
    last_completed: datetime | None
    checked_at: datetime

    @property
    def subject(self) -> str:
        """The first line."""
        if not self.problems:
            return f"skinml {self.name}: healthy"
        return f"skinml {self.name}: {len(self.problems)} problem{'s' * (len(self.problems) != 1)}"

    @property
    def text(self) -> str:
        """All of it for people."""
        last = "unknown" if self.last_completed is None else f"{self.last_completed:%Y-%m-%d %H:%M} UTC"
        return "\n".join(
            [
                self.subject,
                *(f"- {one.told}" for one in self.problems),
                f"Last good night: {last}. Checked: {self.checked_at:%Y-%m-%d %H:%M} UTC.",
                "On its machine, skinml status says more.",
                DISCLAIMER,
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """The body for a webhook. Slack, Mattermost and others show `text`."""
        last = self.last_completed
        return {
            "text": self.text,
            "workspace": self.name,
            "healthy": not self.problems,
            "problems": [
                {"kind": one.kind, "text": one.told, "figures": dict(one.figures)} for one in self.problems
            ],
            "last_completed": None if last is None else last.isoformat(timespec="seconds"),
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
        }


def name_of(workspace: str) -> str:
    """The name of a workspace in messages: the last part of its URL, without what could break a line.

    Example:
        >>> name_of("s3://clinic/skinml"), name_of("/data/nightly scores")
        ('skinml', 'nightly scores')
    """
    last = workspace.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w .-]", "_", last, flags=re.ASCII)[:LONGEST_NAME].strip() or "workspace"
