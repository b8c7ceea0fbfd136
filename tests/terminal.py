"""A command in a pseudo-terminal of a given width: what it writes, and what stands on the screen in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True)
class Screen:
    """What a command wrote to a terminal, as bytes came and as lines that a person sees."""

    exit_code: int
    written: str
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def in_terminal(
    command: Sequence[str], columns: int, more: Mapping[str, str] | None = None, rows: int = 40
) -> Screen:
    """Run a command whose stdin, stdout and stderr are a terminal so many columns wide."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    environment |= {"TERM": "xterm-256color", **(more or {})}
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True
    ) as process:
        os.close(follower)
        written = b"".join(_chunks(leader)).decode()
    os.close(leader)
    return Screen(process.returncode, written, drawn(written))


def _chunks(leader: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(leader, 65_536)
        except OSError:  # Linux's way of saying that nobody holds the other end any more
            return
        if not chunk:
            return
        yield chunk


def drawn(written: str) -> list[str]:
    """The lines that stand on an endless screen: knows what a progress bar uses, cursor up and erase line."""
    lines, row, column, at = [""], 0, 0, 0
    while at < len(written):
        if found := SEQUENCE.match(written, at):
            count = int(found[1]) if (found[1] or "").isdigit() else 1
            if found[2] == "A":
                row = max(row - count, 0)
            elif found[2] == "K":
                lines[row] = "" if found[1] == "2" else lines[row][:column]
            at = found.end()
            continue
        letter, at = written[at], at + 1
        if letter == "\r":
            column = 0
        elif letter == "\n":
            row += 1
            lines += [""] * (row - len(lines) + 1)
        else:
            line = lines[row].ljust(column)
            lines[row], column = line[:column] + letter + line[column + 1 :], column + 1
    return [line.rstrip() for line in lines]
