"""The command line: parse, run the flow, print. What is asked is checked here; what is done is in the flows.

Imports nothing heavy: `skinml --help` loads neither Prefect nor Dask, and a verb loads what it needs.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

from flows.printing import print_result
from skinml import __version__, config, interrupts
from skinml.errors import RequestError, RunError, SkinmlError
from skinml.requests.base import asked_as
from skinml.requests.dataset import PrepareRequest
from skinml.storage.redaction import redacted

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

DESCRIPTION = "Dermatoscopic image archives to tables: prepare, train, score every night."
RESEARCH_ONLY = "Research software: not a medical device."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0 done, 1 the run failed, 2 the request was wrong.

    130, 143 or 129: SIGINT (Ctrl-C), SIGTERM or SIGHUP ended it.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        with interrupts.raised():
            return _run(arguments)
    except SkinmlError as error:
        return _fail(redacted(" ".join(str(error).split())), error.exit_code, as_json)
    except interrupts.Interrupted as error:
        _fail(str(error), error.exit_code, as_json)
        interrupts.leave(error.number)


def _run(arguments: Sequence[str]) -> int:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        raise RequestError(_unknown(unknown[0], options.verb))
    _log_to_stderr()
    _leave_out_a_broken_address()
    given = {name: value for name, value in vars(options).items() if value is not None}
    file = config.read_file(given.get("config"))
    verb, model = VERBS[options.verb], config.REQUESTS[options.verb]
    flags = {name: given[name] for name in config.names_of(model) if name in given}
    request = config.load(model, options.verb, flags, file)
    workspace = config.choose_workspace(given.get("workspace"), file) if verb.needs_workspace else ""
    result = verb.run(workspace, request)
    try:
        print_result(result, as_json=given.get("json", False))
    except OSError as error:  # who reads it is gone, or a file that it goes to has no room
        with suppress(OSError):  # else Python would fail over it again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RunError(f"done, but the result could not be written to stdout: {error.strerror}") from error
    return 0 if verb.went_well(result) else 1


# --- Verbs ----------------------------------------------------------------------------------------------


def _prepare(workspace: str, request: PrepareRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.prepare import prepare

    return run(prepare, workspace=workspace, request=request)


def _train(workspace: str, request: config.TrainRequest) -> dict[str, Any]:
    from skinml.training.installed import check_installed

    check_installed()  # before Prefect is loaded, which takes longer than this answer may

    from flows.engine import run
    from flows.train import train

    return run(train, workspace=workspace, request=request)


def _score(workspace: str, request: config.ScoreRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.score import score

    return run(score, workspace=workspace, request=request)


def _quarantine(workspace: str, request: config.QuarantineRequest) -> dict[str, Any]:
    if request.action == "list":  # a look at tables needs no orchestrator
        from skinml.quarantine import by_reason, in_quarantine, one_by_one
        from skinml.workspace import find_workspace

        place = find_workspace(workspace)
        found = in_quarantine(place, request.flow, request.reason, request.run)
        return {"rows": one_by_one(found) if request.images else by_reason(found), "images": len(found)}

    from flows.engine import run
    from flows.quarantine import replay

    return run(replay, workspace=workspace, request=request)


def _export(workspace: str, request: config.ExportRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.export import export

    return run(export, workspace=workspace, request=request)


def _compact(workspace: str, request: config.CompactRequest) -> dict[str, Any]:
    from flows.compact import compact
    from flows.engine import run

    return run(compact, workspace=workspace, request=request)


def _synth(_: str, request: config.SynthRequest) -> dict[str, Any]:
    from tqdm import tqdm

    from skinml.synth import make_archive

    with tqdm(total=request.images, unit="images", disable=None, leave=False) as bar:

        def on_progress(images: int) -> None:
            bar.update(images)

        archive = make_archive(request.out, request.images, request.corrupt, request.seed, on_progress)
    return {
        "images": archive.images,
        "corrupt": archive.corrupt,
        "roots": [str(root) for root in archive.roots],
        "metadata": str(archive.metadata),
    }


def _demo(_: str, request: config.DemoRequest) -> dict[str, Any]:
    from flows.demo import demo

    return demo(Path(request.out), request.images)


def _drill(workspace: str, request: config.DrillRequest) -> dict[str, Any]:
    from flows.drill import drill

    return drill(workspace, request)


@dataclass(frozen=True)
class Verb:
    """A verb of the command line: what it does with workspace and request, and whether it needs a workspace.

    `went_well` looks at the result of a verb that may end with exit code 1 and still has something to print.
    """

    run: Callable[[str, Any], dict[str, Any]]
    needs_workspace: bool = True
    went_well: Callable[[Mapping[str, Any]], bool] = lambda _: True


VERBS: Mapping[str, Verb] = {
    "prepare": Verb(_prepare),
    "train": Verb(_train),
    "score": Verb(_score),
    "quarantine": Verb(_quarantine),
    "export": Verb(_export),
    "compact": Verb(_compact),
    "synth": Verb(_synth, needs_workspace=False),
    "demo": Verb(_demo, needs_workspace=False),
    "drill": Verb(_drill, went_well=lambda result: not result["problems"]),
}


# --- Parsing --------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """argparse that refuses in one line, as everything here does."""

    def error(self, message: str) -> Any:
        raise RequestError(f"{message}; see {self.prog} --help")


def _unknown(argument: str, verb: str) -> str:
    """What is said of an argument that a verb does not have, with the flag that is written most like it."""
    fields = config.REQUESTS[verb].model_fields
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
    for name, model in config.REQUESTS.items():
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
    if config.is_positional(about):
        parser.add_argument(field, nargs="?", default=None, metavar=metavar, help=explained)
        return
    flag = _flag(field)
    if about.annotation is bool:
        parser.add_argument(flag, dest=field, action="store_true", default=None, help=explained)
        return
    action = "append" if "tuple" in str(about.annotation) else "store"
    parser.add_argument(flag, dest=field, default=None, action=action, metavar=metavar, help=explained)


# --- Saying what goes on ----------------------------------------------------------------------------------


def _log_to_stderr() -> None:
    """What skinml says goes to stderr, with Prefect's own words beside it; stdout is for results."""
    # Prefect reads these when it is imported: our log lines belong to the run that they come from.
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "skinml")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    logger = logging.getLogger("skinml")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Prefect gives the root logger a handler of its own
    handler = logging.StreamHandler()  # of today's stderr, in the place of an earlier call's
    handler.set_name("skinml stderr")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    for earlier in [one for one in logger.handlers if one.get_name() == handler.get_name()]:
        logger.removeHandler(earlier)
    logger.addHandler(handler)


def _leave_out_a_broken_address() -> None:
    """Run without Prefect where its import would fail: at an address that cannot be parsed."""
    address = os.environ.get("PREFECT_API_URL", "")
    try:
        urlsplit(address)
    except ValueError as error:
        logging.getLogger("skinml").warning("running without Prefect: PREFECT_API_URL %s: %s", address, error)
        del os.environ["PREFECT_API_URL"]


def _fail(line: str, exit_code: int, as_json: bool) -> int:
    """Say in one line why there is no result, and with --json in one object too."""
    with suppress(OSError):  # nobody reads it
        print(f"skinml: {line}", file=sys.stderr)
        if as_json:
            print_result({"error": line, "exit_code": exit_code}, as_json=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
