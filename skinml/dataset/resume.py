"""Shards that an interrupted run finished: which of them this run takes over, and which numbers are free.

A finished shard has a record (see `outcome`). It is taken over where all its images are still to be done, as
they were listed then; what else is to be done is cut anew. Labels come from today's plan, never from a record.
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
    """What is done already, what is left, and the first number that no shard ever had.

    Attributes:
        finished: number and images (rows of the work, in the shard's order) of each shard to take over.
        left: rows of the work that are still to be decoded, in their order.
        first: the first free number.
    """

    finished: dict[int, pd.DataFrame]
    left: pd.DataFrame
    first: int


def resume(workspace: str, dataset_key: str, work: pd.DataFrame) -> Resumption:
    """Find what earlier runs left of this work.

    Args:
        workspace: normalised URL.
        dataset_key: which dataset.
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
        except StorageError:  # its run has just been committed
            continue
        yield number, pd.MultiIndex.from_frame(record)


def _numbers(url: str) -> list[int]:
    """The numbers of the shards below a folder."""
    found = (re.fullmatch(r"shard-(\d+)\.\w+", name) for name in names(url))
    return sorted(int(match[1]) for match in found if match)
