"""Write down what the story did: the text on the screen, and docs/story.md."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Told:
    """What has been told so far. It has state: a class."""

    lines: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._say("", f"## {title}", "")

    def text(self, *paragraphs: str) -> None:
        """Tell what happened, with figures of this run."""
        for paragraph in paragraphs:
            self._say(paragraph, "")

    def command(self, command: str, output: str = "") -> None:
        """Show a command and what it printed."""
        self._say("```", f"$ {command}", *output.strip().splitlines(), "```", "")

    def picture(self, name: str, title: str) -> None:
        """Show a screenshot that lies beside the document."""
        self._say(f"![{title}](story/{name})", "")

    def minutes(self) -> float:
        """Minutes since the beginning."""
        return (time.monotonic() - self.started) / 60

    def write(self, path: Path, head: str) -> None:
        """Write the document."""
        text = "\n".join([head.strip(), *self.lines])
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
        path.write_text(text.rstrip() + "\n", encoding="utf-8")

    def _say(self, *lines: str) -> None:
        self.lines += lines
        print("\n".join(lines), file=sys.stderr, flush=True)
