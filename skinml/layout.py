"""The layout of a workspace: the URLs of its tables, shards, models and reports."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from skinml.errors import RequestError
from skinml.schemas import TABLES
from skinml.storage.objects import check_place, check_writable, names
from skinml.storage.urls import is_below, normalise

OWN_FOLDERS = (
    *TABLES,
    "shards",
    "models",
    "reports",
    "explore",
    "search",
    "checkpoints",
    "under_way",
    "unpublished",
)
"""The names that skinml uses directly below a workspace; everything else there belongs to the user."""

PLAIN = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]*")
LONGEST_FOLDER = 100
"""Characters of a folder's name that is made from an image_id."""


def open_workspace(url: str) -> str:
    """Return the workspace's normalised URL after checking that it can be written to; nothing stays written.

    Raises:
        RequestError: the workspace is a file, cannot be written to, is in a bucket that does not exist or
            refuses the key, or is on a store without conditional puts.
    """
    workspace = normalise(url)
    check_writable(workspace)
    return workspace


def check_workspace(url: str) -> str:
    """The same, as far as it shows without writing: a bucket is listed, and nothing is put there.

    Raises:
        RequestError: it is a file, may not be written to, or is a bucket that is missing or refuses the key.
    """
    workspace = normalise(url)
    check_place(workspace)
    return workspace


def find_workspace(url: str) -> str:
    """Return the normalised URL of an existing workspace. Raises RequestError if nothing has run in it."""
    workspace = normalise(url)
    if "runs" not in names(workspace):
        raise RequestError(f"workspace {workspace}: nothing has run there yet; check the name")
    return workspace


@dataclass(frozen=True)
class Archive:
    """A folder or bucket prefix whose images are listed.

    Attributes:
        url: the normalised URL.
        left_out: the workspace's own folders in it, which are never listed.
    """

    url: str
    left_out: tuple[str, ...] = ()


def find_archive(workspace: str, url: str) -> Archive:
    """Return an archive. Raises RequestError if it is inside the workspace's own folders.

    Args:
        workspace: normalised URL.
        url: the archive as the user wrote it.
    """
    archive = normalise(url)
    return Archive(archive, within_archive(workspace, archive))


def within_archive(workspace: str, archive: str) -> tuple[str, ...]:
    """Return the folders of the workspace that lie below an archive, so that its listing can leave them out.

    Args:
        workspace: normalised URL.
        archive: normalised URL.

    Returns:
        The workspace, if it lies inside the archive; its own folders, if it is the archive; else nothing.

    Raises:
        RequestError: the archive lies in one of the workspace's own folders.
    """
    own = tuple(dict.fromkeys(f"{workspace.rstrip('/')}/{name}" for name in OWN_FOLDERS))
    for folder in own:
        if archive == folder or is_below(archive, folder):
            raise RequestError(
                f"{archive}: is inside {folder}, where the workspace keeps its own files; give the folder that "
                "holds the images"
            )
    if archive == workspace:
        return own
    return (workspace,) if is_below(workspace, archive) else ()


def table_url(workspace: str, table: str) -> str:
    """The folder of a Delta table."""
    return f"{workspace}/{table}"


def shards_url(workspace: str, dataset_key: str) -> str:
    """The folder of one dataset's pixels and their index."""
    return f"{workspace}/shards/{dataset_key}"


def index_url(workspace: str, dataset_key: str) -> str:
    """The table that maps each sample to its shard and row."""
    return f"{shards_url(workspace, dataset_key)}/index.parquet"


def unpublished_url(workspace: str, dataset_key: str) -> str:
    """The folder of the outcomes of shards that are not committed yet."""
    return f"{shards_url(workspace, dataset_key)}/unpublished"


def pending_index_url(workspace: str, dataset_key: str) -> str:
    """The index that the current run will commit."""
    return f"{unpublished_url(workspace, dataset_key)}/index.parquet"


def under_way_url(workspace: str, run_id: str = "") -> str:
    """The folder of the records of running runs, or the record of one run."""
    return f"{workspace}/under_way/{run_id}.json" if run_id else f"{workspace}/under_way"


def under_way_files_url(workspace: str, run_id: str) -> str:
    """The folder of what jobs of a run that is under way hand to each other."""
    return f"{workspace}/under_way/{run_id}"


def checkpoints_url(workspace: str, key: str = "") -> str:
    """The folder of all checkpoints of unfinished fits, or of one fit's."""
    return f"{workspace}/checkpoints/{key}".rstrip("/")


def unpublished_parts_url(workspace: str, run_id: str = "") -> str:
    """The folder of the records of uncommitted parts of `scores` and `quarantine`, of all runs or of one."""
    return f"{workspace}/unpublished/{run_id}".rstrip("/")


def models_url(workspace: str, name: str = "") -> str:
    """The folder of all models, or of one model's versions."""
    return f"{workspace}/models/{name}".rstrip("/")


def model_url(workspace: str, name: str, version: str) -> str:
    """The folder of one model version."""
    return f"{workspace}/models/{name}/{version}"


def champion_url(workspace: str) -> str:
    """The file that names the champion, the model version that `score` uses by default."""
    return f"{workspace}/models/champion.json"


def retraining_url(workspace: str) -> str:
    """The file that names the run that retrains, or that retrained last."""
    return f"{workspace}/models/retraining.json"


def search_url(workspace: str, key: str) -> str:
    """The folder of a search: its images and the records of its trials."""
    return f"{workspace}/search/{key}"


def explanation_url(workspace: str, run_id: str, name: str) -> str:
    """The folder of the explanation of one image in a run's report; any text is made a plain folder's name."""
    return f"{workspace}/reports/{_folder_name(run_id)}/explain-{_folder_name(name)}"


def _folder_name(text: str) -> str:
    """The text itself if it is a plain name; otherwise with `_` for other characters, and a hash."""
    if len(text) <= LONGEST_FOLDER and PLAIN.fullmatch(text):
        return text
    plain = re.sub(r"[^0-9A-Za-z._-]", "_", text)[:LONGEST_FOLDER].lstrip(".")
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def reports_url(workspace: str) -> str:
    """The folder of all reports; its index.html is the page over all nights."""
    return f"{workspace}/reports"


def nights_url(workspace: str) -> str:
    """The folder of what the page over all nights needs of each night that has a page."""
    return f"{workspace}/reports/nights"


def night_summary_url(workspace: str, run_id: str) -> str:
    """The file of one night in that folder."""
    return f"{nights_url(workspace)}/{run_id}.json"


def report_url(workspace: str, run_id: str, name: str = "index.html") -> str:
    """One file of a run's report."""
    return f"{workspace}/reports/{run_id}/{name}"
