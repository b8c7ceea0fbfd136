"""Handle unexpected errors: print one line, and put the traceback in the log."""

from __future__ import annotations

import logging
import sys
import traceback

from skinml.storage.redaction import redacted

logger = logging.getLogger("skinml")


def explain(error: Exception) -> str:
    """Say an error that no code expected in one line, and keep its traceback.

    The traceback goes to the log on stderr. A person at a terminal gets it as a file instead.
    """
    text = redacted("".join(traceback.format_exception(error)))
    said = redacted(" ".join(f"unexpected {type(error).__name__}: {error}".split()))
    if not sys.stderr.isatty():
        logger.error("%s", text.rstrip())
        return f"{said}; this is a fault of skinml: please report it with the traceback above"

    from tempfile import NamedTemporaryFile

    try:
        with NamedTemporaryFile("w", prefix="skinml-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(text)
    except OSError:
        logger.error("%s", text.rstrip())
        return f"{said}; this is a fault of skinml: please report it with the traceback above"
    return f"{said}; this is a fault of skinml: please report it with the traceback in {file.name}"


class Printable(logging.Formatter):
    """Log lines for a terminal, without the control characters that an object's key may hold."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, other characters in place of those that a terminal would obey."""
        text = super().format(record)
        return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)
