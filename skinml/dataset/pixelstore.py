"""Find a dataset's pixels for training: the row and shard of each sample. It reads no pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.dataset.shard_files import Shard
from skinml.dataset.shards import read_index, shard_name
from skinml.errors import RunError
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.labels import encode
from skinml.layout import shards_url
from skinml.schemas import IMAGE_VERSION
from skinml.storage.connection import explained
from skinml.storage.head import head_objects
from skinml.storage.urls import as_uri


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Where pixels lie, and whose they are. A position counts through the rows of all `shards`, in their order.

    Attributes:
        workspace: normalised URL.
        dataset_key: the dataset.
        stored_as: its format.
        shards: those of its shards that hold a sample.
        samples: rows of `samples` that have pixels, with their `position`.
        labels: class number at each position, int64; -1 if there is no current sample.
    """

    workspace: str
    dataset_key: str
    stored_as: ShardFormat
    shards: tuple[Shard, ...]
    samples: pd.DataFrame
    labels: NDArray[np.int64]

    def by_position(self, column: str) -> NDArray[np.int64]:
        """Return an integer column of `samples` by position; 0 if there is no current sample."""
        values = np.zeros(len(self.labels), dtype=np.int64)
        values[self.samples["position"]] = self.samples[column]
        return values

    def places(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the shard number and the row in it of each position, int64 (k,) each."""
        starts = np.cumsum([0, *(shard.rows for shard in self.shards)])
        which = np.searchsorted(starts[1:], positions, side="right")
        numbers = np.array([shard.number for shard in self.shards], dtype=np.int64)
        return numbers[which], positions - starts[which]

    def lesions(self) -> NDArray[np.int64]:
        """Return a number for the lesion at each position, equal for all its images; -1 without a sample."""
        values = np.full(len(self.labels), -1, dtype=np.int64)
        values[self.samples["position"]] = pd.factorize(self.samples["lesion_id"])[0]
        return values


def stored_format(workspace: str, preprocessing: Preprocessing, samples: pd.DataFrame) -> ShardFormat:
    """Return the format that most samples are stored in already; NumPy if none is stored."""
    formats: tuple[ShardFormat, ...] = get_args(ShardFormat)
    missing = [len(missing_pixels(workspace, preprocessing.dataset_key(name), samples)) for name in formats]
    return formats[int(np.argmin(missing))]


def missing_pixels(workspace: str, dataset_key: str, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples without pixels in this dataset, as work for a preparation, in order of image_id."""
    index = _places(workspace, dataset_key)
    located = samples.merge(index, on=IMAGE_VERSION, how="left", validate="one_to_one")
    work = located[located["shard"].isna()].drop(columns=["shard", "row"])
    return work.assign(in_samples=True).sort_values(["image_id", "uri"], ignore_index=True)


def _places(workspace: str, dataset_key: str) -> pd.DataFrame:
    found: pd.DataFrame = (
        read_index(workspace, dataset_key).select([*IMAGE_VERSION, "shard", "row"]).to_pandas()
    )
    return found


def open_pixels(workspace: str, dataset_key: str, stored_as: ShardFormat, samples: pd.DataFrame) -> PixelStore:
    """Find the pixels of these samples.

    Args:
        workspace: normalised URL.
        dataset_key: the dataset.
        stored_as: its format.
        samples: rows of `samples`; those without pixels are left out.

    Raises:
        RunError: a shard in the index is missing.
        StorageError: storage failed.

    """
    index = _places(workspace, dataset_key)
    merged = samples.merge(index, on=IMAGE_VERSION, how="left", validate="one_to_one")
    located = merged.dropna(subset=["shard"])
    numbers = sorted(int(number) for number in located["shard"].unique())
    # All rows that the index names, those of images that were replaced since too: it is not known here whether
    # more lie behind them, and nobody asks for those.
    rows = index.groupby("shard")["row"].max() + 1
    sizes = _sizes(workspace, dataset_key, stored_as, numbers)
    shards = tuple(Shard(number, int(rows[number]), size) for number, size in zip(numbers, sizes, strict=True))
    starts = dict(zip(numbers, np.cumsum([0, *(shard.rows for shard in shards)]).tolist(), strict=False))
    position = (located["shard"].map(starts) + located["row"]).astype("int64")
    labels = np.full(sum(shard.rows for shard in shards), -1, dtype=np.int64)
    labels[position] = encode(located["dx"])
    samples = located.assign(position=position).drop(columns=["shard", "row"])
    return PixelStore(workspace, dataset_key, stored_as, shards, samples, labels)


def _sizes(workspace: str, dataset_key: str, stored_as: ShardFormat, numbers: list[int]) -> list[int]:
    """The bytes of each shard's file."""
    base = shards_url(workspace, dataset_key)
    urls = [f"{base}/{shard_name(number, stored_as)}" for number in numbers]
    sizes = []
    for url, seen in zip(urls, head_objects([as_uri(url) for url in urls]), strict=True):
        if isinstance(seen, FileNotFoundError):
            raise RunError(f"{url}: is not there, and the index names it; prepare again")
        if isinstance(seen, Exception):
            with explained(url):
                raise seen
        sizes.append(seen.size_bytes)
    return sizes
