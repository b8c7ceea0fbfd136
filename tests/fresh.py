"""A process that has loaded the command line and nothing more, and forks for each request that it is given.

What is loaded for a request is what a new process would load, at a fraction of the cost: a new interpreter
takes half a second of CPU time to get so far.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOP = """
import json, os, sys
from flows.cli.main import main

for line in sys.stdin:
    arguments, out, error = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, path in ((1, out), (2, error)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = 1
        try:
            code = main(arguments)
            print(sorted(sys.modules))
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a request ended, what it printed, and the modules that were loaded by then."""

    code: int
    stdout: str
    stderr: str
    modules: frozenset[str]


@dataclass(frozen=True)
class Fresh:
    """The process; `folder` is for what requests print."""

    process: subprocess.Popen[str]
    folder: Path

    def run(self, arguments: list[str]) -> Ended:
        """`skinml` with these arguments, in a fork of its own."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        out, error = self.folder / "out", self.folder / "error"
        for file in (out, error):
            file.write_bytes(b"")
        self.process.stdin.write(json.dumps([arguments, str(out), str(error)]) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        *printed, loaded = out.read_text(encoding="utf-8").splitlines()
        modules = json.loads(loaded.replace("'", '"'))
        return Ended(code, "\n".join(printed), error.read_text(encoding="utf-8"), frozenset(modules))


@contextmanager
def running(folder: Path) -> Iterator[Fresh]:
    """Start it in a path like that of this process, and end it."""
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-P", "-c", LOOP],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Fresh(process, folder)
        assert process.stdin is not None
        process.stdin.close()
