"""The command line: parse, run the flow, print. What is asked is checked here; what is done is in the flows.

Imports nothing heavy: `skinml --help` loads neither Prefect nor Dask, and a verb loads what it needs.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from skinml import __version__, config
from skinml.errors import RequestError, SkinmlError

DESCRIPTION = "Dermatoscopic image archives to tables: prepare, train, score every night."
RESEARCH_ONLY = "Research software: not a medical device."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0 done, 1 the run failed, 2 the request was wrong."""
    try:
        options = _parser().parse_args(arguments)
    except RequestError as error:
        return _fail(error)
    _log_to_stderr()
    given = {name: value for name, value in vars(options).items() if value is not None}
    try:
        file = config.read_file(given.get("config"))
        verb, model = VERBS[options.verb], config.REQUESTS[options.verb]
        flags = {name: given[name] for name in model.model_fields if name in given}
        request = config.load(model, options.verb, flags, file)
        workspace = config.choose_workspace(given.get("workspace"), file) if verb.needs_workspace else ""
        result = verb.run(workspace, request)
    except SkinmlError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("skinml: interrupted", file=sys.stderr)
        return 130
    _print(result, as_json=given.get("json", False))
    return 0


# --- Verbs ----------------------------------------------------------------------------------------------


def _prepare(workspace: str, request: config.PrepareRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.prepare import prepare

    return run(prepare, workspace=workspace, request=request)


def _train(workspace: str, request: config.TrainRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.train import train

    return run(train, workspace=workspace, request=request)


def _score(workspace: str, request: config.ScoreRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.score import score

    return run(score, workspace=workspace, request=request)


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


@dataclass(frozen=True)
class Verb:
    """A verb of the command line: what it does with workspace and request, and whether it needs a workspace."""

    run: Callable[[str, Any], dict[str, Any]]
    needs_workspace: bool = True


VERBS: Mapping[str, Verb] = {
    "prepare": Verb(_prepare),
    "train": Verb(_train),
    "score": Verb(_score),
    "synth": Verb(_synth, needs_workspace=False),
    "demo": Verb(_demo, needs_workspace=False),
}


# --- Parsing --------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """argparse that refuses in one line, as everything here does."""

    def error(self, message: str) -> Any:
        raise RequestError(f"{self.prog}: {message}; see {self.prog} --help")


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
            _add_flag(verb_parser, field, about)
    return parser


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument("--workspace", metavar="URL", default=default, help="folder or s3://bucket/prefix")
    parser.add_argument("--config", metavar="FILE", type=Path, default=default, help="TOML file with defaults")
    parser.add_argument(
        "--json", action="store_true", default=default, help="end stdout with one JSON object of the results"
    )


def _add_flag(parser: argparse.ArgumentParser, field: str, about: Any) -> None:
    """One flag of one field: its values are checked by the model, not here."""
    choices = [str(choice) for choice in get_args(about.annotation) if isinstance(choice, str)]
    shown = {"default": about.default} if not about.is_required() and about.default is not None else {}
    parser.add_argument(
        f"--{field.replace('_', '-')}",
        dest=field,
        default=None,
        action="append" if "tuple" in str(about.annotation) else "store",
        metavar="|".join(choices) if choices else field.upper(),
        help=(about.description or "") + (f" (default: {shown['default']})" if shown else ""),
    )


# --- Printing -------------------------------------------------------------------------------------------


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


def _print(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, default=str, allow_nan=False))
        return
    width = max(len(key) for key in result)
    for key, value in result.items():
        shown = f"{value:,.4g}" if isinstance(value, float) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{name} {_short(item)}" for name, item in value.items() if not _is_bulky(item))
        print(f"{key:<{width}}  {shown if shown not in (None, '') else '-'}")


def _short(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _is_bulky(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _fail(error: SkinmlError) -> int:
    line = " ".join(str(error).split())
    print(f"skinml: {line}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
