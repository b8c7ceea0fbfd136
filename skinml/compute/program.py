"""Run a program from inside a Dask task, in a process of its own that ends with the task."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping

from skinml.errors import RunError

ASK_SECONDS = 5.0
"""How often the scheduler is asked whether a GPU is still offered, and a worker whether its task was cancelled.
Dask says neither by itself: work that wants a resource which nobody offers waits for ever."""


def run_program(
    module: str, text: str, on_line: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run `python -m module` for the current Dask task, until it ends or nobody wants the task any more.

    A program and not a function in a process of multiprocessing, because Dask's workers are daemons of their
    nannies, and daemons may have no children.

    Args:
        module: importable by the worker. It must end when its standard input does.
        text: written to its standard input, as one line.
        on_line: called with each line of its standard output, in order.
        environment: variables that it has beside those of the worker.

    Returns:
        Its exit code, negative for a signal, and the end of what it printed to standard error.

    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    over = threading.Event()
    with (
        tempfile.TemporaryDirectory(prefix="skinml-") as scratch,  # removed here, also if the program is killed
        tempfile.TemporaryFile() as printed,
    ):
        process = subprocess.Popen(  # noqa: S603 - this Python, and a module that the caller names
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            env={**os.environ, **(environment or {}), "TMPDIR": scratch},
        )
        asked, answers = process.stdin, process.stdout
        if asked is None or answers is None:  # never: both are pipes
            raise RunError(f"{module} was started without pipes")

        def end_if_cancelled() -> None:
            while not over.wait(ASK_SECONDS):
                task = worker.state.tasks.get(key)
                if task is None or task.state in ("cancelled", "released", "forgotten"):
                    process.kill()

        threading.Thread(target=end_if_cancelled, daemon=True).start()
        try:
            asked.write(text.encode() + b"\n")
            asked.flush()  # and left open: its end tells the program that this process is gone
            for line in answers:
                on_line(line.decode("utf-8", "replace").rstrip("\n"))
            code = process.wait()
        finally:
            over.set()
            process.kill()
            asked.close()
            answers.close()
            process.wait()
        printed.seek(0)
        return code, printed.read()[-4000:].decode("utf-8", "replace")
