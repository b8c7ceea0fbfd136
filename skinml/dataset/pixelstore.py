"""Open a dataset's pixels for training: memory-mappable files, and the position of each sample in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.dataset.shards import decode_parquet_shard, read_index, shard_name
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.labels import encode
from skinml.layout import shards_url
from skinml.schemas import IMAGE_VERSION
from skinml.storage.objects import local_copy, read_bytes


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Pixels and their samples.

    Attributes:
        shards: .npy files, uint8 (n, size, size, 3), to memory-map; positions count through all of them.
        samples: rows of `samples` that have pixels, with their `position`.
        labels: class number at each position, int64; -1 if there is no current sample.
    """

    shards: tuple[Path, ...]
    samples: pd.DataFrame
    labels: NDArray[np.int64]

    def by_position(self, column: str) -> NDArray[np.int64]:
        """Return an integer column of `samples` by position; 0 if there is no current sample."""
        values = np.zeros(len(self.labels), dtype=np.int64)
        values[self.samples["position"]] = self.samples[column]
        return values

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
    located = _locate(workspace, dataset_key, samples)
    work = located[located["shard"].isna()].drop(columns=["shard", "row"])
    return work.assign(in_samples=True).sort_values(["image_id", "uri"], ignore_index=True)


def _locate(workspace: str, dataset_key: str, samples: pd.DataFrame) -> pd.DataFrame:
    index = read_index(workspace, dataset_key).select([*IMAGE_VERSION, "shard", "row"]).to_pandas()
    return samples.merge(index, on=IMAGE_VERSION, how="left", validate="one_to_one")


def open_pixels(
    workspace: str, dataset_key: str, stored_as: ShardFormat, samples: pd.DataFrame, folder: Path
) -> PixelStore:
    """Open the pixels of these samples as files on this machine.

    Args:
        workspace: normalised URL.
        dataset_key: the dataset.
        stored_as: its format.
        samples: rows of `samples`; those without pixels are left out.
        folder: where to put local copies of shards that are in a bucket or in Parquet.
    """
    located = _locate(workspace, dataset_key, samples).dropna(subset=["shard"])
    numbers = sorted(int(number) for number in located["shard"].unique())
    shards = tuple(_local_shard(workspace, dataset_key, stored_as, number, folder) for number in numbers)
    lengths = [len(np.load(path, mmap_mode="r")) for path in shards]
    starts = dict(zip(numbers, np.cumsum([0, *lengths[:-1]]), strict=True)) if numbers else {}
    position = (located["shard"].map(starts) + located["row"]).astype("int64")
    labels = np.full(sum(lengths), -1, dtype=np.int64)
    labels[position] = encode(located["dx"])
    return PixelStore(shards, located.assign(position=position).drop(columns=["shard", "row"]), labels)


def _local_shard(workspace: str, dataset_key: str, stored_as: ShardFormat, number: int, folder: Path) -> Path:
    url = f"{shards_url(workspace, dataset_key)}/{shard_name(number, stored_as)}"
    if stored_as == "npy":
        return local_copy(url, folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / shard_name(number, "npy")
    np.save(path, decode_parquet_shard(read_bytes(url)), allow_pickle=False)
    return path
