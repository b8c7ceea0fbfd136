"""`python -m deployments` prints the path of this installation's prefect.yaml; `automations` makes those."""

import os
import sys

from deployments import PREFECT_FILE
from skinml.errors import SkinmlError


def automations() -> int:
    """Make the automations on the server at PREFECT_API_URL, and say what was made. Exit code 0, 1 or 2."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        print("skinml: PREFECT_API_URL is not set: on which server?", file=sys.stderr)
        return 2

    from deployments.automations import ensure_automations

    try:
        print("\n".join(ensure_automations(url) or ["nothing to do"]))
    except SkinmlError as error:
        print(f"skinml: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["automations"]:
        sys.exit(automations())
    print(PREFECT_FILE)
