"""`python -m skinml.training.program`: run the fit on standard input in this process, for a Dask worker.

In: one line, the job as JSON. Out: one JSON object a line, `{"epoch": 1, "values": {...}}` after each epoch,
`{"note": "..."}` for what a person should know, and at last `{"report": "..."}`, or
`{"error": "...", "kind": "RunError"}` if the job raised an error of ours.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from typing import Any

from skinml.errors import SkinmlError


def main() -> int:
    """Run one job. Returns the exit code: 0 if the job was run or said why not."""
    text = sys.stdin.readline()
    threading.Thread(target=_end_with_caller, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    from skinml.training.dispatch import fit

    with tempfile.TemporaryDirectory(prefix="skinml-copies-") as copies:
        try:
            report = fit((text, copies), say)
        except SkinmlError as error:
            say({"error": str(error), "kind": type(error).__name__})
        else:
            say({"report": report})
    return 0


def _end_with_caller() -> None:
    """End this process when who started it is gone: then nobody writes to standard input any more."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
