"""Tests of skinml/dataset/some_pixels.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from skinml.dataset.shards import encode_shard, shard_name
from skinml.dataset.some_pixels import read_some
from skinml.errors import RunError, StorageError
from skinml.images.preprocessing import ShardFormat
from skinml.layout import shards_url

Put = Callable[[str, bytes], None]

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("stored_as", ["npy", "parquet"])
def test_each_place_gives_its_pixels(stored_as: ShardFormat, place: str, put: Put) -> None:
    key = f"8px-fast-bicubic-{stored_as}"
    for number, part in enumerate((PIXELS[:4], PIXELS[4:])):
        put(f"{shards_url(place, key)}/{shard_name(number, stored_as)}", encode_shard(part, stored_as))
    found = read_some(place, key, [(1, 2), (0, 0), (0, 3), (1, 2)])
    np.testing.assert_array_equal(found, PIXELS[[6, 0, 3, 6]])
    assert read_some(place, key, []) == []
    with pytest.raises(RunError, match="is not the shard that the model names: index 3 is out of bounds"):
        read_some(place, key, [(1, 3)])
    with pytest.raises((RunError, StorageError), match="shard-00005"):
        read_some(place, key, [(5, 0)])


def test_what_is_no_shard_is_refused(place: str, put: Put) -> None:
    for stored_as in ("npy", "parquet"):
        put(f"{shards_url(place, f'8px-{stored_as}')}/shard-00000.{stored_as}", b"rubbish")
        with pytest.raises(RunError, match="is not the shard that the model names"):
            read_some(place, f"8px-{stored_as}", [(0, 0)])
    with pytest.raises(RunError, match="dataset 8px-zip: its name does not end with npy or parquet"):
        read_some(place, "8px-zip", [(0, 0)])
