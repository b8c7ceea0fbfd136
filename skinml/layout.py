"""Where everything lies in a workspace: the one place that knows its layout."""

from __future__ import annotations

from dataclasses import dataclass

from skinml.errors import RequestError
from skinml.schemas import TABLES
from skinml.storage.objects import check_writable, names
from skinml.storage.urls import is_below, normalise

OWN_FOLDERS = (
    *TABLES,
    *("shadow_scores", "promotions"),
    *("shards", "models", "reports", "under_way", "unpublished"),
)
"""Everything that skinml keeps directly below a workspace; what else lies there is the user's."""


def open_workspace(url: str) -> str:
    """The workspace's normalised URL, once it is sure that it can be one; nothing stays written.

    Raises:
        RequestError: it is a file, may not be written to, is a bucket that is missing or refuses the key, or
            lies on a store without conditional puts.
    """
    workspace = normalise(url)
    check_writable(workspace)
    return workspace


def find_workspace(url: str) -> str:
    """The normalised URL of a workspace in which something has run. Raises RequestError where nothing has."""
    workspace = normalise(url)
    if "runs" not in names(workspace):
        raise RequestError(f"workspace {workspace}: nothing has run there yet; check the name")
    return workspace


@dataclass(frozen=True)
class Archive:
    """A folder or bucket prefix whose images are listed.

    Attributes:
        url: normalised.
        left_out: what of it is the workspace's own, and is never listed.
    """

    url: str
    left_out: tuple[str, ...] = ()


def find_archive(workspace: str, url: str) -> Archive:
    """An archive beside or around a workspace. Raises RequestError if it lies in the workspace's own folders.

    Args:
        workspace: normalised URL.
        url: as a user writes it.
    """
    archive = normalise(url)
    return Archive(archive, within_archive(workspace, archive))


def within_archive(workspace: str, archive: str) -> tuple[str, ...]:
    """What is the workspace's own of what lies below an archive: left out when that is listed.

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
                f"{archive}: lies in {folder}, where the workspace keeps its own files; name the folder that "
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
    """The table that says where each sample's pixels lie."""
    return f"{shards_url(workspace, dataset_key)}/index.parquet"


def unpublished_url(workspace: str, dataset_key: str) -> str:
    """What became of the images of shards that no commit has published yet."""
    return f"{shards_url(workspace, dataset_key)}/unpublished"


def pending_index_url(workspace: str, dataset_key: str) -> str:
    """The index as it will be when the run that is under way is committed."""
    return f"{unpublished_url(workspace, dataset_key)}/index.parquet"


def under_way_url(workspace: str, run_id: str = "") -> str:
    """The folder of the runs that are under way, or the record of one of them."""
    return f"{workspace}/under_way/{run_id}.json" if run_id else f"{workspace}/under_way"


def unpublished_parts_url(workspace: str, run_id: str = "") -> str:
    """Records of parts of `scores` and `quarantine` that no commit names yet: of all runs, or of one."""
    return f"{workspace}/unpublished/{run_id}".rstrip("/")


def models_url(workspace: str, name: str = "") -> str:
    """The folder of all models, or of one model's versions."""
    return f"{workspace}/models/{name}".rstrip("/")


def model_url(workspace: str, name: str, version: str) -> str:
    """The folder of one model version."""
    return f"{workspace}/models/{name}/{version}"


def champion_url(workspace: str) -> str:
    """The file that says which version scores tonight."""
    return f"{workspace}/models/champion.json"


def report_url(workspace: str, run_id: str, name: str = "index.html") -> str:
    """One file of a run's report."""
    return f"{workspace}/reports/{run_id}/{name}"
