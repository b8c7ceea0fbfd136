"""Tests of skinml/dataset/shards.py: the files of a dataset."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.dataset.shards import (
    BYTES_PER_SHARD,
    SOURCE_BYTES,
    cut,
    decode_parquet_shard,
    encode_shard,
    images_per_shard,
    read_index,
    shard_name,
    write_index,
)
from skinml.images.preprocessing import ShardFormat
from skinml.layout import index_url
from skinml.schemas import INDEX
from skinml.storage.objects import names
from tests.effort import examples

FORMATS: tuple[ShardFormat, ...] = ("npy", "parquet")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def test_a_numpy_shard_can_be_memory_mapped(tmp_path: Path) -> None:
    path = tmp_path / "shard.npy"
    path.write_bytes(encode_shard(PIXELS, "npy"))
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    assert isinstance(mapped, np.memmap)
    assert mapped.dtype == np.uint8
    assert np.array_equal(mapped, PIXELS)


@pytest.mark.parametrize("count", [1, 5])
def test_a_parquet_shard_says_its_own_shape(count: int) -> None:
    data = encode_shard(PIXELS[:count], "parquet")
    decoded = decode_parquet_shard(data)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, PIXELS[:count])
    table = pq.read_table(io.BytesIO(data))
    assert table["pixels"].type == pa.binary()
    assert {key: table.schema.metadata[key] for key in (b"shape", b"dtype")} == {
        b"shape": b"16x16x3",
        b"dtype": b"uint8",
    }


@pytest.mark.parametrize("stored_as", FORMATS)
def test_the_same_pixels_are_the_same_bytes(stored_as: ShardFormat) -> None:
    assert encode_shard(PIXELS, stored_as) == encode_shard(PIXELS.copy(), stored_as)


@pytest.mark.parametrize(
    ("size", "count"), [(8, 512), (64, 512), (147, 512), (148, 510), (224, 222), (1024, 10)]
)
def test_a_shard_has_512_images_or_32_mib(size: int, count: int) -> None:
    assert images_per_shard(size) == count
    assert count * size * size * 3 <= BYTES_PER_SHARD


def test_at_any_size_a_shard_holds_an_image() -> None:
    assert images_per_shard(20_000) == 1


def test_shards_are_named_in_order() -> None:
    assert shard_name(0, "npy") == "shard-00000.npy"
    assert [shard_name(number, "parquet") for number in (2, 10)] == [
        "shard-00002.parquet",
        "shard-00010.parquet",
    ]


def index_of(*image_ids: str) -> pa.Table:
    rows = [
        {"uri": f"s3://x/{image_id}.jpg", "etag": "e", "image_id": image_id, "shard": 0, "row": row}
        for row, image_id in enumerate(image_ids)
    ]
    return pa.Table.from_pylist(rows, schema=INDEX)


def test_the_index_is_written_whole(place: str) -> None:
    assert read_index(place, "a-key").equals(INDEX.empty_table())
    assert names(place) == []
    for index in (index_of("a"), index_of("a", "b", "ä €")):
        write_index(index_url(place, "a-key"), index)
        assert read_index(place, "a-key").equals(index)
    assert read_index(place, "another-key").num_rows == 0
    assert names(f"{place}/shards/a-key") == ["index.parquet"]


def test_large_files_make_small_shards() -> None:
    assert [piece.stop - piece.start for piece in cut(np.full(200, 2 * 2**20), 64)] == [64, 64, 64, 8]


@settings(max_examples=examples(60), derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 200 * 2**20), max_size=40), st.sampled_from([64, 1024]))
def test_cuts_leave_no_image_out_and_keep_their_bounds(sizes: list[int], size: int) -> None:
    cuts = cut(np.array(sizes, dtype=np.int64), size)
    assert [row for piece in cuts for row in range(len(sizes))[piece]] == list(range(len(sizes)))
    for piece in cuts:
        inside = sizes[piece]
        assert 1 <= len(inside) <= images_per_shard(size)
        assert len(inside) == 1 or sum(inside) <= SOURCE_BYTES
