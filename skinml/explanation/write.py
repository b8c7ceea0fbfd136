"""Choose the folder of an explanation, and write its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skinml.errors import RequestError
from skinml.explanation.rows import ScoredImage
from skinml.layout import check_workspace, explanation_url
from skinml.storage.objects import names, write_bytes
from skinml.storage.urls import is_remote, normalise


def check_folder(workspace: str, scored: ScoredImage, out: str | None) -> str:
    """The folder that the files go to: one in the report of the row's run, or `out`.

    An explanation in the workspace replaces the one of the same row and image that is there.

    Raises:
        RequestError: `out` is a file or a folder with files in it, or the workspace may not be written to.
    """
    row = scored.row
    if out is not None:
        folder = normalise(out)
        if not is_remote(folder) and Path(folder).exists() and not Path(folder).is_dir():
            raise RequestError(f"--out {out}: is a file; give a new or empty folder")
        if names(folder):
            raise RequestError(f"--out {out}: is not empty; give a new or empty folder")
        return folder
    check_workspace(workspace)
    several = any(
        (other["image_id"], other["run_id"]) == (row["image_id"], row["run_id"]) for other in scored.others
    )
    # Images of one name in several folders of an archive, scored by one run.
    name = (
        f"{row['image_id']} {row['uri']} {row['etag']} {row['model_version']}" if several else row["image_id"]
    )
    return explanation_url(workspace, str(row["run_id"]), str(name))


def write_files(folder: str, files: Mapping[str, bytes]) -> list[str]:
    """Write the files, the page last, so that it never lacks its pictures; their URLs in order."""
    for name in reversed(list(files)):
        write_bytes(f"{folder}/{name}", files[name])
    return [f"{folder}/{name}" for name in files]
