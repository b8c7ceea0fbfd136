"""Choose the folder of the page, or refuse. Loads no pandas, so that a refusal is quick."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from skinml.errors import RequestError
from skinml.layout import check_workspace
from skinml.storage.listed import FIGURES
from skinml.storage.objects import names
from skinml.storage.urls import is_remote, normalise

PAGE = "index.html"


def check_can_draw() -> None:
    """Refuse to draw without matplotlib, which is in the extra `train`. Raises RequestError."""
    if find_spec("matplotlib") is None:
        raise RequestError("explore needs matplotlib, not installed here: pip install 'skinml[train]'")


def check_folder(workspace: str, out: str | None) -> str:
    """Return the folder that the files go to: `explore` in the workspace, or `out`.

    Files of an earlier call are replaced.

    Raises:
        RequestError: `out` is a file, or has other files in it; the workspace may not be written to.
    """
    if out is None:
        return f"{check_workspace(workspace)}/explore"
    folder = normalise(out)
    if not is_remote(folder) and Path(folder).exists() and not Path(folder).is_dir():
        raise RequestError(f"--out {out}: is a file; give a new or empty folder")
    others = [name for name in names(folder) if name not in (PAGE, FIGURES)]
    if others:
        raise RequestError(
            f"--out {out}: has other files in it, such as {others[0]}; give a new or empty folder"
        )
    return folder
