"""`python -m skinml.search.program`: fit the trial on standard input in this process, for a Dask worker.

In: one line, the job as JSON. Out: one JSON object in a line, `{"measured": {...}}`, or `{"failed": "..."}` if
the trial cannot be measured, or `{"error": "..."}` if storage failed, so that it should be tried again.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from skinml.errors import StorageError
from skinml.search.trials import JOB, MEASURED, TrialJob


def main() -> int:
    """Run one trial. Returns the exit code: 0 if it was measured or its failure was said."""
    text = sys.stdin.readline()
    threading.Thread(target=_end_with_caller, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    print(json.dumps(answer(JOB.validate_json(text))), file=answers, flush=True)
    return 0


def answer(job: TrialJob) -> dict[str, Any]:
    """Fit a trial and say what came of it, also if a library fails."""
    from skinml.search.fit_trial import fit_trial
    from skinml.search.images import read_images
    from skinml.search.space import fitting_of

    try:
        images = read_images(job.images, job.images_sha256)
        measured = fit_trial(job.model, fitting_of(job.values), images, job.epochs, job.seed)
    except StorageError as error:
        return {"error": str(error)}
    except Exception as error:  # whatever Keras and its backend raise, such as for too little memory
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"measured": MEASURED.dump_python(measured, mode="json")}


def _end_with_caller() -> None:
    """End this process when who started it is gone: then nobody writes to standard input any more."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
