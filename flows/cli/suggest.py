"""Suggest the verb, flag or value that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`did you mean score? ` with the known word that is written most like it; empty if none is."""
    from difflib import get_close_matches

    meant = get_close_matches(given, list(known), 1)
    return f"did you mean {meant[0]}? " if meant else ""
