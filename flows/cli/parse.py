"""Arguments of the command line to names and values; flags are made from the requests."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from flows.cli.verbs import REQUESTS
from skinml import __version__
from skinml.errors import RequestError
from skinml.requests.base import asked_as, is_positional

DESCRIPTION = "Dermatoscopic image archives to tables: prepare, train, score every night."


RESEARCH_ONLY = "Research software: not a medical device."


class _Parser(argparse.ArgumentParser):
    """argparse that refuses in one line, as everything here does."""

    def error(self, message: str) -> Any:
        raise RequestError(f"{message}; see {self.prog} --help")


def _unknown(argument: str, verb: str) -> str:
    """What is said of an argument that a verb does not have, with the flag that is written most like it."""
    fields = REQUESTS[verb].model_fields
    flags = ["--workspace", "--config", "--json", *(_flag(asked_as(*field)) for field in fields.items())]
    meant = get_close_matches(argument.partition("=")[0], flags, 1)
    advice = f"did you mean {meant[0]}? " if meant else ""
    return f"{verb} has no {argument!r}; {advice}see skinml {verb} --help"


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="skinml", description=f"{DESCRIPTION} {RESEARCH_ONLY}")
    parser.add_argument("--version", action="version", version=f"skinml {__version__}")
    _add_common(parser, None)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for name, model in REQUESTS.items():
        summary = (model.__doc__ or "").splitlines()[0]
        verb_parser = verbs.add_parser(name, help=summary, description=f"{summary} {RESEARCH_ONLY}")
        _add_common(verb_parser, argparse.SUPPRESS)  # accepted after the verb too, where people type them
        for field, about in model.model_fields.items():
            _add_flag(verb_parser, asked_as(field, about), about)
    return parser


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument("--workspace", metavar="URL", default=default, help="folder or s3://bucket/prefix")
    parser.add_argument("--config", metavar="FILE", type=Path, default=default, help="TOML file with defaults")
    parser.add_argument(
        "--json", action="store_true", default=default, help="end stdout with one JSON object of the results"
    )


def _add_flag(parser: argparse.ArgumentParser, field: str, about: FieldInfo) -> None:
    """One flag of one field, or its place: its values are checked by the model, not here."""
    choices = [str(choice) for choice in get_args(about.annotation) if isinstance(choice, str)]
    metavar = "|".join(choices) if choices else field.upper()
    unset = about.is_required() or about.default is False or about.default in (None, ())
    shown = "" if unset else f" (default: {about.default})"
    explained = (about.description or "") + shown
    if is_positional(about):
        parser.add_argument(field, nargs="?", default=None, metavar=metavar, help=explained)
        return
    flag = _flag(field)
    if about.annotation is bool:
        parser.add_argument(flag, dest=field, action="store_true", default=None, help=explained)
        return
    action = "append" if "tuple" in str(about.annotation) else "store"
    parser.add_argument(flag, dest=field, default=None, action=action, metavar=metavar, help=explained)
