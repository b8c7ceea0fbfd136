"""Read the pixels of a few images of a dataset, for people to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.shards import decode_parquet_shard, shard_name
from skinml.errors import RunError
from skinml.images.preprocessing import ShardFormat
from skinml.layout import shards_url
from skinml.storage.objects import local_copy, read_bytes


def read_some(workspace: str, dataset_key: str, places: Sequence[tuple[int, int]]) -> list[NDArray[np.uint8]]:
    """Return the pixels at these places (shard, row), uint8 (size, size, 3) each.

    Raises:
        RunError: the dataset's name says no format, or a shard has fewer rows or is no shard.
        StorageError: a shard does not exist.

    """
    stored_as = dataset_key.rpartition("-")[2]
    if stored_as not in get_args(ShardFormat):
        raise RunError(
            f"dataset {dataset_key}: its name does not end with {' or '.join(get_args(ShardFormat))}"
        )
    found: dict[tuple[int, int], NDArray[np.uint8]] = {}
    with tempfile.TemporaryDirectory(prefix="skinml-pixels-") as folder:
        for number in sorted({shard for shard, _ in places}):
            name = shard_name(number, cast(ShardFormat, stored_as))
            url = f"{shards_url(workspace, dataset_key)}/{name}"
            try:
                pixels = _open(url, stored_as, Path(folder))
                for row in (row for shard, row in places if shard == number):
                    found[number, row] = np.array(pixels[row])
            except (ValueError, IndexError, KeyError) as error:
                raise RunError(f"{url}: is not the shard that the model names: {error}") from error
    return [found[place] for place in places]


def _open(url: str, stored_as: str, folder: Path) -> NDArray[np.uint8]:
    if stored_as == "parquet":
        return decode_parquet_shard(read_bytes(url))
    path = local_copy(url, folder)
    if not path.exists():  # a folder's own file, which nobody has opened yet
        raise RunError(f"{url}: is not there any more")
    pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return pixels
