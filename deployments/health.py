"""`python -m deployments.health [URL]` ends with 0 if a service answers: the health check of containers.

Images have no curl. Without a URL, and without HEALTH_URL, there is nothing to ask: a container that
runs a command and ends is healthy while it runs.
"""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

ANSWER_SECONDS = 4.0
"""Timeout of the answer; less than the interval of the checks."""


def is_healthy(url: str) -> bool:
    """Whether the service answers with a status of 200 to 299. A proxy is never asked: the service is local."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=ANSWER_SECONDS) as answer:
            return bool(200 <= answer.status < 300)
    except (URLError, OSError, ValueError):
        return False


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("HEALTH_URL")
    sys.exit(0 if asked is None or is_healthy(asked) else 1)
