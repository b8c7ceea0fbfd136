"""Find the finished shards of an interrupted run that this run can take over, and the free shard numbers.

A finished shard has a record (see `outcome`). It is taken over if all of its images are in this run's work with
the same etags. The rest of the work is cut into new shards. Labels come from this run's plan, never from a
record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skinml.dataset.outcome import read_record
from skinml.errors import StorageError
from skinml.layout import shards_url, unpublished_url
from skinml.storage.objects import names


@dataclass(frozen=True, eq=False)
class Resumption:
    """The finished shards to take over, the work that is left, and the first free shard number.

    Attributes:
        finished: number and images (rows of the work, in the shard's order) of each shard to take over.
        left: rows of the work that still have to be decoded, in their order.
        first: the first number that no shard has ever had.
    """

    finished: dict[int, pd.DataFrame]
    left: pd.DataFrame
    first: int


def resume(workspace: str, dataset_key: str, work: pd.DataFrame) -> Resumption:
    """Find the shards of this work that earlier runs have finished.

    Args:
        workspace: normalised URL.
        dataset_key: the dataset.
        work: `Plan.work`.
    """
    used = _numbers(shards_url(workspace, dataset_key))
    records = _numbers(unpublished_url(workspace, dataset_key))
    first = max([-1, *used, *records]) + 1
    if not records:
        return Resumption({}, work, first)
    by_version = pd.Series(range(len(work)), index=pd.MultiIndex.from_frame(work[["uri", "etag"]]))
    todo = np.ones(len(work), dtype=bool)
    finished: dict[int, pd.DataFrame] = {}
    for number, images in _recorded(workspace, dataset_key, records):
        found = by_version.reindex(images)
        rows = found.dropna().to_numpy(dtype=np.int64)
        if len(rows) == len(found) and todo[rows].all():
            finished[number] = work.iloc[rows]
            todo[rows] = False
    return Resumption(finished, work[todo], first)


def _recorded(workspace: str, dataset_key: str, records: list[int]) -> Iterator[tuple[int, pd.MultiIndex]]:
    for number in records:
        try:
            record = read_record(workspace, dataset_key, number, ["uri", "listed_etag"])
        except StorageError:  # its run has just committed and deleted it
            continue
        yield number, pd.MultiIndex.from_frame(record)


def _numbers(url: str) -> list[int]:
    """The numbers of the shards below a folder."""
    found = (re.fullmatch(r"shard-(\d+)\.\w+", name) for name in names(url))
    return sorted(int(match[1]) for match in found if match)
