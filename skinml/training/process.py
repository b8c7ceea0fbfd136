"""Run a function in a new process, pass on its messages, and notice if the process dies.

For training: TensorFlow deadlocks after a fork and holds memory until its process ends, so it gets a
spawned process that ends with the job.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from skinml.errors import RunError, SkinmlError

Job = TypeVar("Job")
Result = TypeVar("Result")
Message = ParamSpec("Message")

logger = logging.getLogger(__name__)

# How long a child that has answered, or was told to end, may take to end before it is made to.
_GRACE_SECONDS = 10.0
# How often a silent child is asked whether it lives.
_ASK_SECONDS = 1.0
PRINTED = "printed.log"
"""What a child prints, in its temporary folder."""


def run_in_process(
    function: Callable[[Job, Callable[Message, None]], Result],
    job: Job,
    on_message: Callable[Message, None],
    environment: Mapping[str, str] | None = None,
) -> Result:
    """`function(job, emit)` in a spawned process; its result.

    What the function gives to `emit(...)` reaches `on_message(...)` here, in order, while it runs. Function,
    job, messages and result travel by pickle, so the function must be importable by name. What the child
    prints is kept and shown only when it fails: TensorFlow alone greets with a dozen lines that help nobody.
    Its temporary files go with it, also those that a library leaves: TensorFlow's graphs leave a __pycache__.
    When the caller is interrupted or dies, the child ends too.

    Args:
        function: what to run.
        job: its first argument.
        on_message: called here with what the function emits.
        environment: variables set in the child before the function runs, such as KERAS_BACKEND.

    Raises:
        SkinmlError: the function raised it there; the same class and words.
        RunError: it raised anything else (its last line; the traceback is logged), or its process died.

    """
    name = getattr(function, "__name__", "function")
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="skinml-", ignore_cleanup_errors=True) as scratch:
        Path(scratch, PRINTED).touch()  # a child may die before it opens it
        process = context.Process(
            target=_child, args=(sender, scratch, function, job, dict(environment or {})), name=name
        )
        process.start()
        sender.close()  # the child holds the only other end now, so that its death is an end of file here
        try:
            kind, *content = _listen(receiver, process, on_message)
            process.join(_GRACE_SECONDS)
        finally:  # also when interrupted, and when on_message raises
            receiver.close()
            _end(process)
        if kind in {"error", "died"}:
            logger.error("%s printed, at the end:\n%s", name, _tail(Path(scratch, PRINTED)))
    if kind == "result":
        result: Result = content[0]
        return result
    if kind == "skinml error":
        raise content[0]
    if kind == "error":
        last_line, trace = content
        logger.error("%s failed in its process:\n%s", name, trace)
        raise RunError(f"{name} failed: {last_line}")
    raise RunError(f"{name}: its process {_how_it_ended(process.exitcode)}")


def _listen(receiver: Connection, process: BaseProcess, on_message: Callable[..., None]) -> tuple[Any, ...]:
    """Pass messages on until the child has answered; the answer, or ("died",)."""
    while True:
        # Its death is an end of file, unless a process that it forked still holds the pipe: so ask, too.
        # Asked first, so that what it sent before it died is still read.
        alive = process.is_alive()
        try:
            if not receiver.poll(_ASK_SECONDS):
                if alive:
                    continue
                return ("died",)
            received: tuple[Any, ...] = receiver.recv()
        except (EOFError, ConnectionError):
            return ("died",)
        if received[0] != "message":
            return received
        on_message(*received[1], **received[2])


def _child(
    sender: Connection, scratch: str, function: Callable[..., Any], job: Any, environment: dict[str, str]
) -> None:
    """What the spawned process runs: the function, then one last answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, and the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with Path(scratch, PRINTED).open("ab", buffering=0) as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.environ.update({"TMPDIR": scratch, **environment})
    tempfile.tempdir = None  # so that Python looks at TMPDIR again

    def emit(*arguments: Any, **keywords: Any) -> None:
        sender.send(("message", arguments, keywords))

    answer: tuple[Any, ...]
    try:
        answer = ("result", function(job, emit))
    except SkinmlError as error:
        answer = ("skinml error", error)
    except Exception as error:
        answer = _failure(error)
    try:
        sender.send(answer)
    except (pickle.PicklingError, TypeError, AttributeError) as error:  # pickle raises all three
        sender.send(_failure(error))


def _tail(printed: Path, size: int = 4000) -> str:
    """The last characters of what a child printed."""
    return printed.read_bytes()[-size:].decode("utf-8", "replace").strip()


def _failure(error: Exception) -> tuple[str, str, str]:
    """An answer that names the error's last line, with its traceback for the log."""
    last_line = traceback.format_exception_only(error)[-1].strip()
    return "error", last_line, "".join(traceback.format_exception(error))


def _end_with_parent() -> None:
    """End this process when its parent has died, even by SIGKILL: nobody waits for the result any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _end(process: BaseProcess) -> None:
    """Terminate a process that still runs, and kill one that will not end."""
    for stop in (process.terminate, process.kill):
        if process.is_alive():
            stop()
            process.join(_GRACE_SECONDS)


def _how_it_ended(exit_code: int | None) -> str:
    """The exit code of a process, negative for a signal, in words."""
    if exit_code is None or exit_code >= 0:
        return f"ended without an answer, exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = "; the system may have run out of memory" if -exit_code == signal.SIGKILL else ""
    return f"was ended by {name} (signal {-exit_code}){hint}"
