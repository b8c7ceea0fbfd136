"""Parse the command line. Flags and `--help` are made from the requests."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from flows.cli.parts import RESEARCH_ONLY
from flows.cli.suggest import did_you_mean
from flows.cli.verbs import REQUESTS
from skinml import __version__
from skinml.errors import RequestError
from skinml.requests.base import ClusterRequest, Request, asked_as, is_positional
from skinml.requests.models import FloorsRequest
from skinml.requests.recipe import RecipeRequest
from skinml.requests.training import CardRequest

DESCRIPTION = "Dermatoscopic image archives to tables: prepare, train, score every night."

COMMON = {"--workspace": True, "--config": True, "--json": False}
"""Flags that stand before the verb or after it, and whether they take a value."""

WORKSPACE = "folder or s3://bucket/prefix (default: SKINML_WORKSPACE)"

SHORT = 30
"""Characters of choices that stand behind a flag; longer ones stand in its description."""

ALONE = ("-h", "--help", "--version")
"""Flags that ask for no verb."""


class _Parser(argparse.ArgumentParser):
    """argparse that refuses in one line, as everything here does, and takes no abbreviation of a flag."""

    def __init__(self, **more: Any) -> None:
        super().__init__(allow_abbrev=False, add_help=False, formatter_class=_Help, **more)

    def error(self, message: str) -> Any:
        raise RequestError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


class _Help(argparse.HelpFormatter):
    """Help as wide as the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=_width())


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns - 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The verb and what was given of its flags; what was not given is None.

    Raises:
        RequestError: no verb, or a verb or a flag that there is not, with the one that was probably meant.
        SystemExit: the help or the version was asked for, and is printed.
    """
    _check_verb(arguments)
    options, unknown = parser().parse_known_args(arguments)
    unknown = _adopt(options, unknown)
    if unknown:
        raise RequestError(_unknown(unknown[0], options.verb))
    return options


def _check_verb(arguments: Sequence[str]) -> None:
    """Refuse what argparse would refuse in more words: no verb, an unknown one, an unknown flag before it."""
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in ALONE:
            return
        name, equals, _ = argument.partition("=")
        if not argument.startswith("-"):
            if argument not in REQUESTS:
                advice = did_you_mean(argument, REQUESTS) or f"verbs are {', '.join(REQUESTS)}; "
                raise RequestError(f"there is no verb {argument!r}; {advice}see skinml --help")
            return
        if name not in COMMON:
            advice = did_you_mean(name, (*COMMON, *ALONE[1:]))
            raise RequestError(
                f"{name} is not a flag that stands before the verb; {advice}"
                "flags of a verb stand behind it; see skinml --help"
            )
        if COMMON[name] and not equals:
            rest = rest[1:]
    parser().print_help(sys.stderr)
    raise RequestError("no verb was given; see skinml --help")


def _adopt(options: argparse.Namespace, left: list[str]) -> list[str]:
    """Give what argparse left over to the verb's list of places, and return what still is unknown.

    argparse takes all places from the words before the first flag: `promote --force VERSION` leaves VERSION.
    """
    fields = REQUESTS[options.verb].model_fields.items()
    place = next((name for name, about in fields if is_positional(about) and is_list(about)), None)
    if place is None or any(word.startswith("-") for word in left):
        return left
    setattr(options, place, [*(getattr(options, place) or []), *left] or None)
    return []


def _unknown(argument: str, verb: str) -> str:
    """What is said of an argument that a verb does not have, with the flag that is written most like it."""
    flags = [*COMMON, *(_flag(asked_as(*field)) for field in REQUESTS[verb].model_fields.items())]
    advice = did_you_mean(argument.partition("=")[0], flags)
    return f"{verb} has no {argument!r}; {advice}see skinml {verb} --help"


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    root = _Parser(
        prog="skinml",
        usage="skinml [--workspace URL] [--config FILE] [--json] VERB ...",
        description=f"{DESCRIPTION} {RESEARCH_ONLY}",
        epilog="skinml VERB --help shows what a verb can be asked.",
    )
    verbs = root.add_subparsers(
        title="verbs", dest="verb", required=True, metavar="VERB", parser_class=_Parser, prog="skinml"
    )
    common = root.add_argument_group("common")
    _add_common(common, None)
    common.add_argument(
        "--version", action="version", version=f"skinml {__version__}", help="print the version"
    )
    for name, model in REQUESTS.items():
        summary = (model.__doc__ or "").splitlines()[0]
        description = f"{summary} {RESEARCH_ONLY}"
        verb = verbs.add_parser(name, help=summary, description=description, usage=_usage(name, model))
        for title, fields in _groups(model):
            group = verb.add_argument_group(title)
            for field, about in fields:
                _add_flag(group, asked_as(field, about), about)
        _add_common(verb.add_argument_group("common"), argparse.SUPPRESS)
    return root


def _usage(verb: str, model: type[Request]) -> str:
    """`skinml score --archive ARCHIVE [options]`: what must be given."""
    positional = [_place(*field) for field in model.model_fields.items() if is_positional(field[1])]
    required = [
        f"{_flag(asked_as(name, about))} {_metavar(name, about)}"
        for name, about in model.model_fields.items()
        if about.is_required() and not is_positional(about)
    ]
    words = " ".join(["skinml", verb, *positional, *required, "[options]"])
    lines = textwrap.wrap(words, max(_width() - len("usage: "), 20), break_long_words=False)
    return f"\n{' ' * len('usage:   ')}".join(lines)


def _place(name: str, about: FieldInfo) -> str:
    """A value without a flag: `[ACTION]` if it may be left out, `[VERSIONS ...]` if there may be several."""
    metavar = _metavar(name, about)
    if about.is_required() or metavar.startswith("["):
        return metavar
    return f"[{metavar} ...]" if is_list(about) else f"[{metavar}]"


def _groups(model: type[Request]) -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    """The fields of a request under the headings of its help, without headings that have none."""
    fields = list(model.model_fields.items())
    kinds = (ClusterRequest, FloorsRequest, CardRequest, RecipeRequest)
    # A verb without a recipe has a precision too, of another kind.
    cluster, floors, card, recipe = (one.model_fields if issubclass(model, one) else {} for one in kinds)
    apart = {*cluster, *floors, *card, *recipe}
    headings = {
        "required": [field for field in fields if field[1].is_required()],
        "options": [field for field in fields if not field[1].is_required() and field[0] not in apart],
        "recipe": [field for field in fields if field[0] in recipe],
        "floors": [field for field in fields if field[0] in floors],
        "model card": [field for field in fields if field[0] in card],
        "cluster": [field for field in fields if field[0] in cluster],
    }
    yield from ((title, some) for title, some in headings.items() if some)


def _add_common(group: argparse._ArgumentGroup, default: Any) -> None:
    group.add_argument("--workspace", metavar="URL", default=default, help=WORKSPACE)
    group.add_argument("--config", metavar="FILE", type=Path, default=default, help="TOML file with defaults")
    group.add_argument(
        "--json", action="store_true", default=default, help="end stdout with one JSON object of the results"
    )
    group.add_argument("-h", "--help", action="help", help="print this help")


def _add_flag(group: argparse._ArgumentGroup, field: str, about: FieldInfo) -> None:
    """One flag of one field, or its place: its values are checked by the model, not here."""
    unset = (
        about.is_required()
        or about.default_factory is not None
        or about.default is False
        or about.default in (None, (), "")
    )
    shown = "" if unset else f" (default: {about.default})"
    metavar = _metavar(field, about)
    choices = choices_of(about)
    named = f": {', '.join(choices)}" if choices and choices[0] not in metavar else ""
    explained = f"{about.description or ''}{named}{shown}".replace("%", "%%")  # argparse formats it
    if is_positional(about):
        nargs = "*" if is_list(about) else "?"
        group.add_argument(field, nargs=nargs, default=None, metavar=metavar, help=explained)
        return
    flag = _flag(field)
    if about.annotation is bool:
        group.add_argument(
            flag, dest=field, action=argparse.BooleanOptionalAction, default=None, help=explained
        )
        return
    action = "append" if is_list(about) else "store"
    group.add_argument(flag, dest=field, default=None, action=action, metavar=metavar, help=explained)


def is_list(about: FieldInfo) -> bool:
    """Whether a field takes several values."""
    return "tuple" in str(about.annotation)


def choices_of(about: FieldInfo) -> list[str]:
    """The texts that a field can have, if they are few: of a Literal or an enumeration, or None beside one."""
    kinds = [about.annotation, *get_args(about.annotation)]
    members = [member for kind in kinds for member in getattr(kind, "__members__", {}).values()]
    literals = [str(one) for kind in kinds for one in get_args(kind) if isinstance(one, str | int)]
    return list(dict.fromkeys([*map(str, members), *literals]))


def _metavar(field: str, about: FieldInfo) -> str:
    """What stands for a value: its choices if they are short, N for a number."""
    choices = "|".join(choices_of(about))
    if choices and len(choices) <= SHORT:
        return f"[{choices}]" if is_positional(about) and not about.is_required() else choices
    kinds = [about.annotation, *get_args(about.annotation)]
    kinds += [inner for kind in kinds for inner in get_args(kind)]  # of Annotated
    return "N" if int in kinds or float in kinds else field.upper().replace("-", "_")
