"""Tests of skinml/dataset/pixelstore.py: every sample's position leads to that sample's pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from skinml import tables
from skinml.dataset.metadata import Metadata
from skinml.dataset.pixelstore import PixelStore, missing_pixels, open_pixels, stored_format
from skinml.dataset.publish_samples import publish_pixels, publish_samples
from skinml.dataset.shard_files import map_shards
from skinml.dataset.shards import read_index
from skinml.dataset.survey import SurveyJob, write_pending_index
from skinml.dataset.write_shard import ShardJob, write_shard
from skinml.errors import RunError
from skinml.images.decode import decode
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.labels import DIAGNOSES
from skinml.records.runs import Counts
from skinml.storage.objects import read_many
from skinml.storage.removal import delete
from tests.unit.dataset.test_write_shard import SMALL, fill, labels, plan_of

Jpeg = Callable[..., bytes]

FORMATS: tuple[ShardFormat, ...] = ("npy", "parquet")


def prepare(place: str, metadata: Metadata, run_id: str, stored_as: ShardFormat, length: int = 3) -> None:
    """A whole preparation, in shards of `length` images."""
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    key = SMALL.dataset_key(stored_as)
    plan = plan_of(archive, workspace, metadata, key)
    first = max(read_index(workspace, key)["shard"].to_pylist(), default=-1) + 1
    shards = [
        write_shard(
            ShardJob(number, plan.work.iloc[start : start + length], workspace, SMALL, stored_as, run_id)
        )
        for number, start in enumerate(range(0, len(plan.work), length), first)
    ]
    done = sum(shard.prepared for shard in shards)
    rejected = sum(shard.rejected.total() for shard in shards) + len(plan.rejected)
    counts = Counts(plan.listed, plan.skipped, done, rejected)
    numbers = [shard.number for shard in shards]
    parts = [shard.samples for shard in shards if shard.samples is not None]
    write_pending_index(SurveyJob(workspace, key, numbers, parts, plan.relabelled))
    publish_samples(workspace, shards, plan, {}, counts, run_id)
    publish_pixels(workspace, key, shards, plan.rejected, counts, run_id)


def all_samples(place: str) -> pd.DataFrame:
    found: pd.DataFrame = tables.read(f"{place}/workspace", "samples").to_pandas()
    return found


def all_pixels(store: PixelStore, copies: Path) -> NDArray[np.uint8]:
    """What a position counts through."""
    shards = map_shards(store.workspace, store.dataset_key, store.stored_as, store.shards, copies)
    return np.concatenate(shards)


def check(store: PixelStore, copies: Path) -> None:
    """Every position leads to the pixels that the sample's file has now, and to its class."""
    pixels = all_pixels(store, copies)
    assert store.labels.shape == (len(pixels),)
    assert store.labels.dtype == np.int64
    assert store.samples["position"].is_unique
    reads = read_many(store.samples["uri"])
    for row, read in zip(store.samples.to_dict("records"), reads, strict=True):
        assert read.data is not None
        assert read.etag == row["etag"]
        assert np.array_equal(pixels[row["position"]], decode(read.data, 16).pixels), row["image_id"]
        assert DIAGNOSES[store.labels[row["position"]]] == row["dx"]
        assert store.by_position("width")[row["position"]] == row["width"]
    rest = np.delete(store.labels, store.samples["position"])
    assert (rest == -1).all(), "a position without a current sample has a class"
    assert not np.delete(store.by_position("width"), store.samples["position"]).any()
    lesions = store.lesions()
    assert (np.delete(lesions, store.samples["position"]) == -1).all()
    numbers = pd.Series(lesions[store.samples["position"]])
    together = numbers.groupby(store.samples["lesion_id"].to_numpy())
    assert (together.nunique() == 1).all(), "a number for a lesion"
    assert together.first().is_unique, "and its own"


@pytest.mark.parametrize("stored_as", FORMATS)
def test_positions_lead_to_the_right_pixels(
    place: str, stored_as: ShardFormat, tmp_path: Path, jpeg: Jpeg
) -> None:
    """Several shards of two runs, a broken image, and one that was superseded."""
    key, copies = SMALL.dataset_key(stored_as), tmp_path / "copies"
    copies.mkdir()
    metadata = labels(*(f"i{number:02d}" for number in range(11)))
    fill(f"{place}/archive", {f"i{number:02d}.jpg": jpeg(number) for number in range(1, 11)} | {"i05.jpg": b""})
    prepare(place, metadata, "run 1", stored_as)
    store = open_pixels(f"{place}/workspace", key, stored_as, all_samples(place))
    assert (len(store.samples), len(store.shards), len(store.labels)) == (9, 4, 9)
    check(store, copies)

    fill(f"{place}/archive", {"i00.jpg": jpeg(20), "i03.jpg": jpeg(23, 80, 80)})
    prepare(place, metadata, "run 2", stored_as)
    store = open_pixels(f"{place}/workspace", key, stored_as, all_samples(place))
    assert (len(store.samples), len(store.shards), len(store.labels)) == (10, 5, 11)
    check(store, copies)
    assert (store.labels == -1).sum() == 1, "the superseded version's pixels are still there, and of nobody"

    some = all_samples(place).query("image_id in ['i00', 'i09']")
    store = open_pixels(f"{place}/workspace", key, stored_as, some)
    assert sorted(store.samples["image_id"]) == ["i00", "i09"]
    check(store, copies)


def test_shards_are_mapped_from_where_they_lie(tmp_path: Path, jpeg: Jpeg) -> None:
    place = str(tmp_path)
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    prepare(place, labels("i0"), "run 1", "npy")
    store = open_pixels(f"{place}/workspace", SMALL.dataset_key(), "npy", all_samples(place))
    [pixels] = map_shards(store.workspace, store.dataset_key, store.stored_as, store.shards, tmp_path / "no")
    assert isinstance(pixels, np.memmap)
    assert str(pixels.filename) == f"{place}/workspace/shards/{SMALL.dataset_key()}/shard-00000.npy"
    assert not (tmp_path / "no").exists()


def test_samples_without_pixels_are_left_out_and_named(place: str, tmp_path: Path, jpeg: Jpeg) -> None:
    workspace, key = f"{place}/workspace", SMALL.dataset_key()
    metadata = labels("i0", "i1", "i2")
    fill(f"{place}/archive", {"i2.jpg": jpeg(2), "i1.jpg": jpeg(1)})
    prepare(place, metadata, "run 1", "npy")
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    prepare(place, metadata, "run 2", "parquet")
    samples = all_samples(place)
    assert len(missing_pixels(workspace, SMALL.dataset_key("parquet"), samples)) == 0
    work = missing_pixels(workspace, key, samples)
    assert work["image_id"].tolist() == ["i0"]
    assert work["in_samples"].tolist() == [True]
    assert sorted(open_pixels(workspace, key, "npy", samples).samples["image_id"]) == ["i1", "i2"]

    done = write_shard(ShardJob(7, work, workspace, SMALL, "npy", "run 3"))
    assert (done.prepared, done.samples) == (1, None), "work for a shard as it stands"


def test_a_dataset_that_is_not_there_misses_everything(tmp_path: Path, jpeg: Jpeg) -> None:
    place = str(tmp_path)
    fill(f"{place}/archive", {"i1.jpg": jpeg(1), "i0.jpg": jpeg(0)})
    prepare(place, labels("i0", "i1"), "run 1", "npy")
    samples, other = all_samples(place), Preprocessing(32, "exact").dataset_key()
    work = missing_pixels(f"{place}/workspace", other, samples)
    assert work["image_id"].tolist() == ["i0", "i1"]
    assert set(work.columns) == {*samples.columns, "in_samples"}
    store = open_pixels(f"{place}/workspace", other, "npy", samples)
    assert (store.shards, len(store.samples), len(store.labels)) == ((), 0, 0)


@pytest.mark.parametrize("stored_as", FORMATS)
def test_the_format_that_has_most_pixels_is_used(tmp_path: Path, stored_as: ShardFormat, jpeg: Jpeg) -> None:
    place = str(tmp_path)
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    prepare(place, labels("i0"), "run 1", stored_as)
    workspace, samples = f"{place}/workspace", all_samples(place)
    assert stored_format(workspace, SMALL, samples) == stored_as
    assert stored_format(workspace, Preprocessing(32), samples) == "npy", "NumPy where none is"


def test_a_shard_that_is_gone_is_named_before_anything_is_fitted(place: str, jpeg: Jpeg) -> None:
    workspace, key = f"{place}/workspace", SMALL.dataset_key()
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    prepare(place, labels("i0"), "run 1", "npy")
    delete([f"{workspace}/shards/{key}/shard-00000.npy"])
    with pytest.raises(RunError, match=r"shard-00000.npy: is not there, and the index names it; prepare again"):
        open_pixels(workspace, key, "npy", all_samples(place))
