"""Find the quarantined images that can be scored again, and leave out failures that are already recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from skinml import tables
from skinml.records.etags import plain_etag
from skinml.schemas import IMAGE_VERSION, LISTING
from skinml.scoring.counted import Model
from skinml.scoring.known_etags import read_known_etags
from skinml.scoring.ledger import make_ledger, read_scored
from skinml.scoring.pending import Pending, Window, find_pending
from skinml.scoring.predict import ShardScored
from skinml.storage.head import head_objects
from skinml.storage.listing import Listed


@dataclass(frozen=True, eq=False)
class Replayable:
    """The quarantined images that can be scored again, and the counts of the others.

    Attributes:
        pending: the images to score; those that a counted model has scored already count as skipped.
        of_prepare: images that `prepare` could not use; `prepare` itself tries them again.
        gone: images that do not exist any more.
        replaced: images with other bytes by now; `score` treats them as new.
    """

    pending: Pending
    of_prepare: int
    gone: int
    replaced: int


def find_replayable(workspace: str, images: pd.DataFrame, counted: Sequence[Model], path: Path) -> Replayable:
    """Check which images still exist unchanged, and write them to `path`.

    If storage cannot say whether an image exists, it is included: reading it will show the error.

    Args:
        workspace: normalised URL.
        images: the result of `in_quarantine`.
        counted: the models whose rows count.
        path: where to write a Parquet file with the columns of LISTING.
    """
    ours = images[images["flow"] == "score"]
    rows: dict[str, tuple[str, int, object]] = {}
    gone = replaced = 0
    known = zip(ours["uri"], ours["etag"], ours["size_bytes"], strict=True)
    for (uri, etag, size_bytes), seen in zip(known, head_objects(ours["uri"].tolist()), strict=True):
        if isinstance(seen, FileNotFoundError):
            gone += 1
        elif uri in rows or (not isinstance(seen, Exception) and seen.etag != plain_etag(etag)):
            replaced += 1  # the latest version of a name comes first
        elif isinstance(seen, Exception):
            rows[uri] = (etag, size_bytes, None)
        else:
            rows[uri] = (etag, seen.size_bytes, seen.last_modified)
    columns = zip(*((uri, *row) for uri, row in rows.items()), strict=True) if rows else [(), (), (), ()]
    listed = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, LISTING, strict=True)], schema=LISTING
    )
    ledger = make_ledger(chain(read_scored(workspace, counted), read_known_etags(workspace, counted)))
    pending = find_pending([Listed(listed)], ledger, Window(), path)
    return Replayable(pending, len(images) - len(ours), gone, replaced)


def leave_known_failures(
    workspace: str, shards: Sequence[ShardScored], images: pd.DataFrame
) -> tuple[list[ShardScored], int]:
    """Leave out rows of the quarantine that are already in it: same image version, same reason.

    Args:
        workspace: normalised URL.
        shards: the results of the workers.
        images: the result of `in_quarantine` before the replay.

    Returns:
        The shards without these rows, and the number of rows left out.
    """
    columns = [*IMAGE_VERSION, "reason"]
    known = set(images[columns].itertuples(index=False, name=None))
    left: list[ShardScored] = []
    failed_again = 0
    for shard in shards:
        if shard.quarantine is None:
            left.append(shard)
            continue
        rows = tables.read_parts(workspace, "quarantine", [shard.quarantine], columns).to_pandas()
        news = np.array([row not in known for row in rows.itertuples(index=False, name=None)])
        failed_again += int((~news).sum())
        part = shard.quarantine
        kept = part if news.all() else tables.keep_rows(workspace, "quarantine", part, pa.array(news))
        left.append(replace(shard, quarantine=kept, rejected=Counter(rows.loc[news, "reason"])))
    return left, failed_again
