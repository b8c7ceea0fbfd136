"""Tests of skinml/dataset/shard_files.py, on a folder and in a bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skinml.dataset import shard_files
from skinml.dataset.shard_files import map_shards
from skinml.dataset.shards import shard_name
from skinml.errors import RunError, StorageError
from skinml.images.preprocessing import ShardFormat
from skinml.layout import shards_url
from skinml.storage.objects import write_bytes
from skinml.storage.removal import delete
from tests.unit.training.datasets import KEY, write_shards

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
FORMATS: tuple[ShardFormat, ...] = ("npy", "parquet")


@pytest.mark.parametrize("stored_as", FORMATS)
def test_shards_come_in_the_order_asked_for_with_the_rows_that_count(
    place: str, stored_as: ShardFormat, tmp_path: Path
) -> None:
    shards = write_shards(place, PIXELS, [7, 20], stored_as)
    wanted = [shards[2], replace(shards[0], rows=5)]
    for _ in range(2):  # the second time from the copies
        last, first = map_shards(place, KEY, stored_as, wanted, tmp_path / "copies")
        np.testing.assert_array_equal(last, PIXELS[20:])
        np.testing.assert_array_equal(first, PIXELS[:5])
        assert isinstance(last, np.memmap)
        assert not last.flags.writeable
    assert not list((tmp_path / "copies").rglob(".*")), "nothing that is half written"


@pytest.mark.parametrize("stored_as", FORMATS)
def test_a_shard_that_changed_since_the_job_was_made_is_refused(
    place: str, stored_as: ShardFormat, tmp_path: Path
) -> None:
    [shard] = write_shards(place, PIXELS, [], stored_as)
    other = replace(shard, size_bytes=shard.size_bytes + 1)
    with pytest.raises(
        RunError, match=r"shard-00000\.\w+: has [\d,]+ bytes, but had [\d,]+ when this run began"
    ):
        map_shards(place, KEY, stored_as, [other], tmp_path)
    with pytest.raises(RunError, match="shard 0 has 30 images, but the index names row 30; prepare again"):
        map_shards(place, KEY, stored_as, [replace(shard, rows=31)], tmp_path)
    delete([f"{shards_url(place, KEY)}/{shard_name(0, stored_as)}"])
    with pytest.raises((RunError, StorageError), match="shard-00000"):
        map_shards(place, KEY, stored_as, [shard], tmp_path / "new")


def test_a_half_copied_shard_is_never_taken_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `local_copy` brings is measured, whatever brought it."""
    [shard] = write_shards(str(tmp_path), PIXELS, [])

    def cut_short(url: str, folder: Path) -> Path:
        folder.mkdir()
        (folder / "cut.npy").write_bytes(Path(url).read_bytes()[:-100])
        return folder / "cut.npy"

    copy: Callable[[str, Path], Path] = cut_short
    monkeypatch.setattr(shard_files, "local_copy", copy)
    half, whole = f"{shard.size_bytes - 100:,}", f"{shard.size_bytes:,}"
    with pytest.raises(RunError, match=f"has {half} bytes, but had {whole} when"):
        map_shards(str(tmp_path), KEY, "npy", [shard], tmp_path / "copies")


def test_a_dataset_of_many_shards_is_copied_whole(place: str, tmp_path: Path) -> None:
    shards = write_shards(place, PIXELS, list(range(1, 30)))
    found = np.concatenate(map_shards(place, KEY, "npy", shards, tmp_path))
    np.testing.assert_array_equal(found, PIXELS)
    assert map_shards(place, KEY, "npy", [], tmp_path) == []


def test_what_is_no_array_is_not_unpickled(tmp_path: Path) -> None:
    [shard] = write_shards(str(tmp_path), PIXELS, [])
    evil = np.array([None])
    np.save(tmp_path / "evil.npy", evil, allow_pickle=True)
    data = (tmp_path / "evil.npy").read_bytes()
    write_bytes(f"{shards_url(str(tmp_path), KEY)}/{shard_name(0, 'npy')}", data)
    with pytest.raises(ValueError, match="Python objects"):
        map_shards(str(tmp_path), KEY, "npy", [replace(shard, size_bytes=len(data))], tmp_path)
