"""The completion verb: print the shell script that completes verbs, flags and values. shtab makes it."""

from __future__ import annotations

import argparse
from typing import Any

from flows.cli.parse import choices_of, parser
from flows.cli.verbs import REQUESTS
from skinml.requests.base import asked_as
from skinml.requests.shell import CompletionRequest

PLACES = ("workspace", "config", "archive", "images", "metadata", "out")
"""Fields whose value may be a file or a folder."""


def completion(request: CompletionRequest) -> dict[str, Any]:
    """The script that a shell reads to complete skinml.

    Args:
        request: which shell.
    """
    import shtab

    root = parser()
    _complete(root, {})
    [verbs] = [action for action in root._actions if isinstance(action, argparse._SubParsersAction)]
    for verb, model in REQUESTS.items():
        fields = {asked_as(name, about): about for name, about in model.model_fields.items()}
        _complete(verbs.choices[verb], {name: choices_of(about) for name, about in fields.items()})
    return {"shell": request.shell, "script": shtab.complete(root, request.shell)}


def _complete(parser: argparse.ArgumentParser, choices: dict[str, list[str]]) -> None:
    """Tell shtab what can stand behind each flag. The parser itself checks no values."""
    import shtab

    for action in parser._actions:
        if some := choices.get(action.dest):
            action.choices = some
        elif action.dest in PLACES and action.metavar != "N":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
