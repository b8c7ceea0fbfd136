"""Say in one line why the Prefect server did not start, from the last that it printed."""

from __future__ import annotations

from collections.abc import Sequence

KNOWN = {
    "Can't locate revision identified by": (
        "its database was made by another version of Prefect: install that version, or give another --home"
    ),
    "Port is already in use": "the port was taken in the meantime: give another --port",
    "address already in use": "the port was taken in the meantime: give another --port",
    "database is locked": "its database is locked by another server",
    "file is not a database": "its database is broken: move prefect.db away, or give another --home",
    "database disk image is malformed": "its database is broken: move prefect.db away, or give another --home",
    "No space left on device": "no space left on the disk of the home folder",
    "database or disk is full": "no space left on the disk of the home folder",
}
"""What stands in its output, and what to do. All seen with Prefect 3.8.8."""


def why_not_started(lines: Sequence[str]) -> str:
    """The cause, if it is a known one; else the last line that may be an error's."""
    text = "\n".join(lines)
    for sign, said in KNOWN.items():
        if sign in text:
            return said
    errors = [line.strip() for line in lines if "Error" in line or "error" in line]
    printed = [line.strip() for line in lines if line.strip() and line.strip() != "Server stopped!"]
    return (errors or printed or ["it printed nothing"])[-1][:300]
