"""The quarantine: write rows of images that could not be used, and find the images that are in it now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import Reason
from skinml.records.etags import PATTERN
from skinml.records.history import find_run
from skinml.schemas import IMAGE_VERSION, QUARANTINE, TABLES
from skinml.storage.head import Seen, head_objects
from skinml.storage.listed import UNREADABLE
from skinml.storage.spelling import Folders, resolve_rows

if TYPE_CHECKING:
    import pandas as pd

RETRIED = (Reason.READ_ERROR.value,)
"""Transient reasons: such an image is tried again in every run, any other image when its etag changes."""

FLOWS = ("prepare", "score", "replay", "evaluate")
"""Flows that quarantine images."""

EVALUATE = "evaluate"
"""The flow whose images wait for nothing: each evaluation reads all of its images. They are listed only if
asked for, and no other flow looks at them."""

SAME_ARCHIVE = {"replay": "score"}
"""Flows that retry images of another flow: their rows count as rows of that flow."""

COLUMNS = ["flow", "reason", *IMAGE_VERSION, "size_bytes", "detail", "run_id", "tries", "oldest", "newest"]
"""The columns that `in_quarantine` returns."""


def quarantine_rows(rejected: pd.DataFrame, flow: str, run_id: str) -> pa.Table:
    """Return rejected images as rows of the quarantine, schema QUARANTINE.

    Args:
        rejected: columns uri, etag, size_bytes, reason, detail and, if the images were read, sha256.
        flow: the flow that rejects them.
        run_id: the run.
    """
    rows = rejected.assign(run_id=run_id, flow=flow, quarantined_at=datetime.now(UTC))
    if "sha256" not in rows:
        rows["sha256"] = None
    return pa.Table.from_pandas(rows[QUARANTINE.names], QUARANTINE, preserve_index=False)


def in_quarantine(
    workspace: str, flow: str | None = None, reason: str | None = None, run_id: str | None = None
) -> pd.DataFrame:
    """Return the image versions that are in quarantine now.

    An image leaves the quarantine once it has been scored or prepared, a folder once it can be listed again.

    Args:
        workspace: normalised URL.
        flow: only images that this flow could not use: `prepare`, `score` or `evaluate`. None: without those of
            `evaluate`, unless `run_id` names such a run.
        reason: only images with this latest reason.
        run_id: only images that this run could not use.

    Returns:
        One row for each (flow, uri, etag), the latest first: flow, reason, uri, etag, size_bytes, detail,
        run_id (of the latest attempt), tries, oldest and newest (times of the first and last failure, UTC).

    Raises:
        RequestError: there is no such run.
    """
    if run_id is not None:
        find_run(workspace, run_id, FLOWS)
    rows = resolve_rows(tables.read(workspace, "quarantine")).to_pandas()
    rows["flow"] = rows["flow"].replace(SAME_ARCHIVE)
    rows["detail"] = rows["detail"].fillna("")  # null from another writer; JSON has no NaN
    key = ["flow", *IMAGE_VERSION]
    rows = rows.sort_values("quarantined_at", kind="stable")
    of_version = rows.groupby(key, dropna=False, sort=False)
    rows = rows.assign(
        tries=of_version["uri"].transform("size"),
        oldest=of_version["quarantined_at"].transform("min"),
        newest=rows["quarantined_at"],
    )
    latest = rows.drop_duplicates(key, keep="last")
    if run_id is not None:
        latest = latest.merge(rows.loc[rows["run_id"] == run_id, key].drop_duplicates(), on=key)
    if flow is not None:
        latest = latest[latest["flow"] == flow]
    elif run_id is None:
        latest = latest[latest["flow"] != EVALUATE]
    if reason is not None:
        latest = latest[latest["reason"] == reason]
    latest = latest[~_readable_folders(latest)]
    found: pd.DataFrame = latest.loc[~_usable_since(workspace, latest), COLUMNS]
    return found.sort_values(["newest", "uri"], ascending=[False, True], ignore_index=True)


def failures_of_archives(workspace: str) -> pa.Table:
    """Return quarantined images of archives (uri, etag, reason), with uris as they are listed today.

    Images that `prepare` or `evaluate` could not use are left out.
    """
    rows = resolve_rows(tables.read(workspace, "quarantine", ["flow", *IMAGE_VERSION, "reason"]))
    return rows.filter(pc.is_in(rows["flow"], pa.array(["score", "replay"]))).drop_columns("flow")


def _readable_folders(latest: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows are folders that can be listed again: no image would ever end such a row."""
    import pandas as pd

    folders = latest.loc[latest["etag"] == UNREADABLE, "uri"]
    now = [
        row
        for row, seen in zip(folders.index, head_objects(folders.tolist()), strict=True)
        if isinstance(seen, Seen)
    ]
    return pd.Series(latest.index.isin(now), index=latest.index)


def _usable_since(workspace: str, latest: pd.DataFrame) -> pd.Series[bool]:
    """Return which of these image versions have been used since, by their rows in `scores` or `samples`.

    Any row of `samples` counts, because it keeps the time of the first preparation. A row of `scores` must be
    younger than the failure: an older one may come from another model, or from other bytes with the same etag.
    The exception is a read error: if two runs overlap, the one that failed to read may end later, so an older
    row of the same model counts too.
    """
    import pandas as pd

    prepared = _rows_of(workspace, "samples", [], latest.loc[latest["flow"] == "prepare", "uri"])
    scored = _rows_of(
        workspace, "scores", ["scored_at", "model_version"], latest.loc[latest["flow"] != "prepare", "uri"]
    )
    ours = latest[[*IMAGE_VERSION, "newest", "reason", "run_id", "flow"]].reset_index(names="row")
    # Bytes that were replaced under the same etag and scored since are in quarantine under the plain etag.
    ours["etag"], scored["etag"] = (
        rows["etag"].str.replace(PATTERN, "", regex=True) for rows in (ours, scored)
    )
    runs = tables.read(workspace, "runs", ["run_id", "model_version"]).to_pandas().drop_duplicates("run_id")
    both = (
        ours[ours["flow"] != "prepare"]
        .merge(scored, on=IMAGE_VERSION)
        .merge(runs, on="run_id", how="left", suffixes=("", "_tried"))
    )
    same_model = both["reason"].isin(RETRIED) & (both["model_version"] == both["model_version_tried"])
    used = set(both.loc[(both["scored_at"] > both["newest"]) | same_model, "row"])
    used |= set(ours[ours["flow"] == "prepare"].merge(prepared, on=IMAGE_VERSION)["row"])
    return pd.Series(latest.index.isin(used), index=latest.index)


def _rows_of(workspace: str, table: str, columns: list[str], uris: pd.Series[str]) -> pd.DataFrame:
    """Return a table's rows of these images, whatever the spelling of their paths."""
    wanted = pa.array(uris.unique(), pa.string())
    schema = pa.schema([TABLES[table].field(name) for name in [*IMAGE_VERSION, *columns]])
    folders: Folders = {}
    found = [schema.empty_table()]
    for piece in tables.scan(workspace, table, schema.names) if len(wanted) else []:
        rows = resolve_rows(piece, folders)
        found.append(rows.filter(pc.is_in(rows["uri"], wanted)))
    frame: pd.DataFrame = pa.concat_tables(found).to_pandas()
    return frame


def by_reason(images: pd.DataFrame) -> list[dict[str, Any]]:
    """Count the result of `in_quarantine` by flow and reason, most images first.

    Returns:
        For each flow and reason: images (versions), uris (names), tries, oldest, newest (ISO 8601, UTC), and
        uri and detail of the latest one.
    """
    groups = []
    for (flow, reason), rows in images.groupby(["flow", "reason"]):
        groups.append(
            {
                "flow": flow,
                "reason": reason,
                "images": len(rows),
                "uris": rows["uri"].nunique(),
                "tries": int(rows["tries"].sum()),
                "oldest": _iso(rows["oldest"].min()),
                "newest": _iso(rows["newest"].max()),
                "uri": rows["uri"].iloc[0],
                "detail": rows["detail"].iloc[0],
            }
        )
    return sorted(groups, key=lambda group: (-int(group["images"]), group["flow"], group["reason"]))


def one_by_one(images: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the result of `in_quarantine` as one dict per image version, times as ISO 8601 in UTC."""
    shown = images.assign(oldest=images["oldest"].map(_iso), newest=images["newest"].map(_iso))
    return [{str(name): value for name, value in row.items()} for row in shown.to_dict("records")]


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
