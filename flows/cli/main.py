"""The command line: parse the arguments, call the verb, print its result.

Imports nothing heavy: `skinml --help` loads neither Prefect nor Dask, and a verb loads what it needs.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from flows.cli.faults import Printable, explain
from flows.cli.parse import parse
from flows.cli.parts import clean
from flows.cli.printing import print_result
from flows.cli.settings import choose_workspace, load, names_of, read_file
from flows.cli.summaries import summary
from flows.cli.variables import check_variables
from flows.cli.verbs import REQUESTS, call, find
from skinml.errors import RunError, SkinmlError
from skinml.process import interrupts
from skinml.storage.redaction import redacted


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
    except KeyboardInterrupt:  # from a library that raises it itself
        return _fail("interrupted", 130, as_json)
    except Exception as error:
        return _fail(explain(error), 1, as_json)


def _run(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    _log_to_stderr()
    _leave_out_a_broken_address()
    given = {name: value for name, value in vars(options).items() if value is not None}
    check_variables(os.environ)
    file = read_file(given.get("config"))
    model = REQUESTS[options.verb]
    flags = {name: given[name] for name in names_of(model) if name in given}
    request = load(model, options.verb, flags, file)
    verb = find(options.verb, request)
    flag = given.get("workspace")
    workspace = choose_workspace(flag, file, not verb.workspace_optional) if verb.needs_workspace else ""
    result = call(verb, workspace, request)
    try:
        print_result(result, given.get("json", False), verb.prints)
    except OSError as error:  # who reads it is gone, or a file that it goes to has no room
        with suppress(OSError):  # else Python would fail over it again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RunError(f"done, but the result could not be written to stdout: {error.strerror}") from error
    _close(summary(verb.name, verb.action, result))
    return 0 if verb.went_well(result) else 1


def _close(sentence: str) -> None:
    """End with what a person would quote, on stderr: stdout is for results."""
    if sentence:
        with suppress(OSError):  # nobody reads it
            print(clean(sentence), file=sys.stderr, flush=True)


# --- Saying what goes on ----------------------------------------------------------------------------------


def _log_to_stderr() -> None:
    """What skinml says goes to stderr, with Prefect's own words beside it; stdout is for results."""
    # Prefect reads these when it is imported: our log lines belong to the run that they come from.
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "skinml")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    logger = logging.getLogger("skinml")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Prefect gives the root logger a handler of its own
    formatter = Printable if sys.stderr.isatty() else logging.Formatter
    handler = logging.StreamHandler()  # of today's stderr, in the place of an earlier call's
    handler.set_name("skinml stderr")
    handler.setFormatter(formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
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
        print(f"skinml: {clean(line)}", file=sys.stderr)
        if as_json:
            print_result({"error": line, "exit_code": exit_code}, as_json=True)
    return exit_code
