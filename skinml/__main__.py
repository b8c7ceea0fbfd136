"""The command `skinml` and `python -m skinml`: checks that Python finds our `flows` and `tasks`, runs the verb.

These are common names. If a folder on PYTHONPATH or another distribution has a package of the same name, Python
may find that one first. The check is in skinml because nobody else's package has this name. flows.cli is
imported by a string, because code in skinml must not import flows.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("tasks", "flows")
"""What every verb imports beside skinml."""

OF_VERBS = {"up": ("deployments",), "doctor": ("deployments",)}
"""What one verb imports beside these. A folder `deployments` of somebody else's must not stop the others."""

INSTALLED_IN = Path(__file__).resolve().parent.parent
"""The folder that all packages of one installation lie in."""

OWN_ENVIRONMENT = "install skinml in an environment of its own"


def main() -> int:
    """Run the verb on the command line. Returns its exit code; 2 if another `flows` or `tasks` hides ours."""
    clash = next(filter(None, map(_clash, _packages(sys.argv[1:]))), None)
    if clash is not None:
        print(f"skinml: {clash}", file=sys.stderr)
        if "--json" in sys.argv[1:]:
            print(json.dumps({"error": clash, "exit_code": 2}))
        return 2
    exit_code: int = import_module("flows.cli.main").main()
    return exit_code


def _packages(arguments: list[str]) -> tuple[str, ...]:
    return PACKAGES + tuple(package for verb, more in OF_VERBS.items() if verb in arguments for package in more)


def _clash(package: str) -> str | None:
    """What hides our package of this name and what to do about it, in one line; None if it is ours."""
    found = find_spec(package)  # looks for the file; nothing of somebody else's is run
    if found is None or found.origin is None:  # None as well for a folder without an __init__.py
        return f"the package {package!r} is missing in {INSTALLED_IN}: reinstall skinml (pip --force-reinstall)"
    file = Path(found.origin)
    folder = file.parent.parent if found.submodule_search_locations else file.parent
    if folder.resolve() != INSTALLED_IN:
        return f"Python finds another {package!r} before skinml's, {file}: {_advice(folder.resolve())}"
    if getattr(import_module(package), "DISTRIBUTION", None) != "skinml":
        return f"another distribution has replaced skinml's {file}: {OWN_ENVIRONMENT}"
    return None


def _advice(folder: Path) -> str:
    """What to do about a package that Python finds in this folder before it comes to ours."""
    variable = os.environ.get("PYTHONPATH")
    if variable and folder in [Path(entry).resolve() for entry in variable.split(os.pathsep)]:
        return f"take {folder} off PYTHONPATH"
    if folder == Path.cwd():
        return "start skinml in another folder, or as `skinml` instead of `python -m skinml`"
    return OWN_ENVIRONMENT


if __name__ == "__main__":
    sys.exit(main())
