"""Stop everything below a `skinml up` that was killed: `python -m deployments.up.watch HOME PID`.

`up` starts it. It waits for the end of its stdin, a pipe that ends with `up`, however that ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deployments.up.processes import stop


def main(home: Path, pid: int) -> None:
    """Wait until the pipe on stdin ends, then stop what is below that `up`, and nothing of its successor."""
    os.setsid()  # Ctrl-C in the terminal is not for this process
    while os.read(0, 1024):
        pass
    stop(home, pid)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
