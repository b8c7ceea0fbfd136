"""Tests of skinml/dataset/write_shard.py: one shard's work."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from skinml import tables
from skinml.dataset.metadata import Metadata, parse_metadata
from skinml.dataset.outcome import read_record
from skinml.dataset.plan import Plan, make_plan
from skinml.dataset.shards import decode_parquet_shard, read_index, shard_name
from skinml.dataset.splits import split_of
from skinml.dataset.write_shard import ShardJob, shard_jobs, write_shard
from skinml.errors import OverlapError
from skinml.images.decode import decode
from skinml.images.fingerprint import perceptual_hashes
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.images.quality import measure
from skinml.layout import shards_url, table_url
from skinml.schemas import LISTING, QUARANTINE, SAMPLES
from skinml.storage.listing import list_images
from skinml.storage.objects import exists, names, read_bytes, write_bytes
from skinml.storage.removal import delete
from skinml.storage.urls import file_uri, is_remote
from tests.hostile.make import segment, with_segments
from tests.unit.images.profiles import P3, rgb_profile, srgb_curve

Jpeg = Callable[..., bytes]

SMALL = Preprocessing(16)
FORMATS: tuple[ShardFormat, ...] = ("npy", "parquet")


# What the tests of a preparation share


def fill(place: str, objects: dict[str, bytes], time_ns: int | None = None) -> None:
    """Put objects below a place; `time_ns` is what a restored backup keeps of a file."""
    for name, data in objects.items():
        write_bytes(f"{place}/{name}", data)
        if time_ns is not None and not is_remote(place):
            os.utime(f"{place}/{name}", ns=(time_ns, time_ns))


def labels(*image_ids: str) -> Metadata:
    """One lesion an image, of all seven diagnoses in turn; every third age is blank."""
    diagnoses = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    lines = [
        f"L-{image_id},{image_id},{diagnoses[n % 7]},histo,{'' if n % 3 == 2 else 40 + n},female,back"
        for n, image_id in enumerate(image_ids)
    ]
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    return parse_metadata("\n".join([header, *lines]).encode(), "m.csv")


def listing_of(place: str) -> pd.DataFrame:
    table = pa.Table.from_batches([piece.images for piece in list_images(place)], LISTING)
    found: pd.DataFrame = table.to_pandas()
    return found.sort_values("uri", ignore_index=True)


def plan_of(place: str, workspace: str, metadata: Metadata, dataset_key: str = SMALL.dataset_key()) -> Plan:
    """The plan of a preparation, from what the workspace holds."""
    return make_plan(
        listing_of(place),
        metadata,
        samples=tables.read(workspace, "samples").to_pandas(),
        index=read_index(workspace, dataset_key).select(["uri", "etag"]).to_pandas(),
        quarantine=tables.read(workspace, "quarantine", ["uri", "etag", "reason"]).to_pandas(),
        roots=(place if is_remote(place) else file_uri(place),),
    )


def part_rows(workspace: str, table: str, part: tables.Part | None) -> list[dict[str, object]]:
    """The rows of an unpublished part."""
    assert part is not None
    found = pq.read_table(io.BytesIO(read_bytes(f"{table_url(workspace, table)}/{part.path}")))
    assert found.num_rows == part.rows
    rows: list[dict[str, object]] = found.to_pylist()
    return rows


def shard_pixels(workspace: str, number: int, stored_as: ShardFormat = "npy") -> NDArray[np.uint8]:
    data = read_bytes(shard_url(workspace, number, stored_as))
    pixels: NDArray[np.uint8] = (
        np.load(io.BytesIO(data), allow_pickle=False) if stored_as == "npy" else decode_parquet_shard(data)
    )
    return pixels


def shard_url(workspace: str, number: int, stored_as: ShardFormat = "npy") -> str:
    return f"{shards_url(workspace, SMALL.dataset_key(stored_as))}/{shard_name(number, stored_as)}"


def job_of(
    place: str, workspace: str, *image_ids: str, number: int = 0, stored_as: ShardFormat = "npy"
) -> ShardJob:
    work = plan_of(place, workspace, labels(*image_ids), SMALL.dataset_key(stored_as)).work
    return ShardJob(number, work, workspace, SMALL, stored_as, "run")


# Cutting


@pytest.mark.parametrize("count", [0, 1, 512, 513, 1200])
def test_work_is_cut_into_full_shards(count: int) -> None:
    work = pd.DataFrame({"uri": [f"uri {number}" for number in range(count)], "size_bytes": 24_000})
    jobs = list(shard_jobs(work, 7, "/w", SMALL, "npy", "run"))
    lengths = [len(job.images) for job in jobs]
    assert lengths == [512] * (count // 512) + [count % 512] * (count % 512 > 0)
    assert [job.number for job in jobs] == list(range(7, 7 + len(jobs)))
    assert [uri for job in jobs for uri in job.images["uri"]] == work["uri"].tolist()
    assert {(job.workspace, job.stored_as, job.run_id) for job in jobs} <= {("/w", "npy", "run")}


def test_large_images_make_small_shards() -> None:
    work = pd.DataFrame({"uri": ["x"] * 25, "size_bytes": 24_000})
    jobs = shard_jobs(work, 0, "/w", Preprocessing(1024), "npy", "run")
    assert [(job.number, len(job.images)) for job in jobs] == [(0, 10), (1, 10), (2, 5)]


# One shard


@pytest.mark.parametrize("stored_as", FORMATS)
def test_a_shard_holds_the_pixels_in_the_order_of_the_work(
    place: str, stored_as: ShardFormat, jpeg: Jpeg
) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    images = {f"i{number}": jpeg(number) for number in range(4)}
    fill(archive, {f"{image_id}.jpg": data for image_id, data in images.items()})
    done = write_shard(job_of(archive, workspace, *images, number=3, stored_as=stored_as))
    assert (done.number, done.prepared, done.rejected) == (3, 4, Counter())
    expected = np.stack([decode(data, 16).pixels for data in images.values()])
    assert np.array_equal(shard_pixels(workspace, 3, stored_as), expected)
    record = read_record(workspace, SMALL.dataset_key(stored_as), 3)
    assert record["uri"].tolist() == listing_of(archive)["uri"].tolist()
    assert record["row"].tolist() == [0, 1, 2, 3]
    folder = shards_url(workspace, SMALL.dataset_key(stored_as))
    assert names(folder) == [shard_name(3, stored_as), "unpublished"]
    assert names(f"{folder}/unpublished") == ["shard-00003.parquet"]


def test_a_sample_has_its_labels_and_its_measures(tmp_path: Path, jpeg: Jpeg) -> None:
    archive, workspace = f"{tmp_path}/archive", f"{tmp_path}/workspace"
    fill(archive, {"i0.jpg": jpeg(0, 120, 90), "i1.jpg": jpeg(1, 60, 80), "i2.jpg": jpeg(2)})
    listing = listing_of(archive)
    done = write_shard(job_of(archive, workspace, "i0", "i1", "i2"))
    rows = part_rows(workspace, "samples", done.samples)
    assert list(rows[0]) == SAMPLES.names
    assert [row["image_id"] for row in rows] == ["i0", "i1", "i2"]
    assert [row["lesion_id"] for row in rows] == ["L-i0", "L-i1", "L-i2"]
    assert [row["split"] for row in rows] == [split_of(f"L-i{number}") for number in range(3)]
    assert [row["dx"] for row in rows] == ["akiec", "bcc", "bkl"]
    assert [row["age"] for row in rows] == [40.0, 41.0, None]
    assert [row["sex"] for row in rows] == ["female"] * 3
    assert [row["metadata_row"] for row in rows] == [0, 1, 2]
    assert [(row["width"], row["height"]) for row in rows] == [(120, 90), (60, 80), (96, 72)]
    assert [row["uri"] for row in rows] == listing["uri"].tolist()
    assert [row["etag"] for row in rows] == listing["etag"].tolist()
    assert [row["size_bytes"] for row in rows] == listing["size_bytes"].tolist()
    assert {row["run_id"] for row in rows} == {"run"}
    pixels = shard_pixels(workspace, 0)
    for name, values in measure(pixels)._asdict().items():
        assert [row[name] for row in rows] == pytest.approx(values.tolist())
    assert [row["phash"] for row in rows] == [value.hex() for value in perceptual_hashes(pixels) if value]
    files = [read_bytes(f"{archive}/i{number}.jpg") for number in range(3)]
    assert [row["sha256"] for row in rows] == [hashlib.sha256(data).hexdigest() for data in files]
    assert [row["split_group"] for row in rows] == [row["lesion_id"] for row in rows]


def test_what_is_broken_goes_to_quarantine_and_stops_nothing(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    objects = {
        "i0.jpg": b"",
        "i1.jpg": jpeg(1),
        "i2.jpg": b"<html>",
        "i3.jpg": jpeg(3),
        "i4.jpg": jpeg(4)[:400],
    }
    fill(archive, objects)
    done = write_shard(job_of(archive, workspace, *(f"i{number}" for number in range(5))))
    assert done.prepared == 2
    assert done.rejected == Counter({"empty": 1, "not_an_image": 1, "truncated": 1})
    record = read_record(workspace, SMALL.dataset_key(), 0)
    assert record["row"].fillna(-1).tolist() == [-1, 0, -1, 1, -1]
    assert record["reason"].fillna("").tolist() == ["empty", "", "not_an_image", "", "truncated"]
    expected = np.stack([decode(objects[name], 16).pixels for name in ("i1.jpg", "i3.jpg")])
    assert np.array_equal(shard_pixels(workspace, 0), expected)

    rows = part_rows(workspace, "quarantine", done.quarantine)
    assert list(rows[0]) == QUARANTINE.names
    assert [str(row["uri"]).rsplit("/", 1)[-1] for row in rows] == ["i0.jpg", "i2.jpg", "i4.jpg"]
    assert [row["reason"] for row in rows] == ["empty", "not_an_image", "truncated"]
    assert [row["size_bytes"] for row in rows] == [0, 6, 400]
    assert all(row["detail"] for row in rows)
    assert [row["sha256"] for row in rows] == [
        hashlib.sha256(objects[name]).hexdigest() for name in ("i0.jpg", "i2.jpg", "i4.jpg")
    ]
    assert {(row["flow"], row["run_id"]) for row in rows} == {("prepare", "run")}


def test_done_twice_it_leaves_the_same_behind(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    fill(archive, {"i0.jpg": jpeg(0), "i1.jpg": b"", "i2.jpg": jpeg(2)})
    job = job_of(archive, workspace, "i0", "i1", "i2")

    def left_behind() -> tuple[object, ...]:
        done = pickle.loads(pickle.dumps(write_shard(pickle.loads(pickle.dumps(job)))))  # noqa: S301 - as Dask does
        samples = part_rows(workspace, "samples", done.samples)
        broken = part_rows(workspace, "quarantine", done.quarantine)
        times = {"prepared_at", "quarantined_at"}
        rows = [{name: row[name] for name in row if name not in times} for row in samples + broken]
        return read_bytes(shard_url(workspace, 0)), rows, done.prepared, done.rejected

    assert left_behind() == left_behind()
    for table in ("samples", "quarantine"):
        assert len(names(table_url(workspace, table))) == 2, "an attempt's parts are its own"
        assert tables.version(workspace, table) is None, "a shard publishes nothing"
    assert names(shards_url(workspace, SMALL.dataset_key())) == ["shard-00000.npy", "unpublished"]


def test_a_shard_is_never_written_over(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    fill(archive, {"i0.jpg": jpeg(0), "i1.jpg": jpeg(1)})
    write_shard(job_of(archive, workspace, "i0"))
    before = read_bytes(shard_url(workspace, 0))
    with pytest.raises(OverlapError, match="exists with other pixels; another preparation is running"):
        write_shard(job_of(archive, workspace, "i1"))
    assert read_bytes(shard_url(workspace, 0)) == before


def test_a_finished_shard_is_taken_over_without_reading_images(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    fill(archive, {"i0.jpg": jpeg(0), "i1.jpg": b"", "i2.jpg": jpeg(2)})
    job = job_of(archive, workspace, "i0", "i1", "i2")
    first = write_shard(job)
    delete(f"{archive}/i{number}.jpg" for number in range(3))
    relabelled = job.images.assign(dx="mel")
    second = write_shard(replace(job, images=relabelled, run_id="next", finished=True))
    assert (first.resumed, second.resumed) == (False, True)
    assert second.rejected == first.rejected == Counter({"empty": 1})
    assert second.prepared == first.prepared == 2
    changed = {"run_id": "next", "dx": "mel"}
    earlier = part_rows(workspace, "samples", first.samples)
    assert part_rows(workspace, "samples", second.samples) == [{**row, **changed} for row in earlier]
    [broken] = part_rows(workspace, "quarantine", second.quarantine)
    assert (broken["run_id"], broken["reason"], broken["detail"]) == ("next", "empty", "0 bytes")


def test_a_finished_shard_whose_pixels_are_gone_is_done_again(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    fill(archive, {"i0.jpg": jpeg(0), "i1.jpg": b""})
    job = job_of(archive, workspace, "i0", "i1")
    first = write_shard(job)
    before = read_bytes(shard_url(workspace, 0))
    assert (first.file, first.file_bytes) == ("shard-00000.npy", len(before))
    assert write_shard(replace(job, finished=True)).file_bytes == len(before)
    delete([shard_url(workspace, 0)])
    again = write_shard(replace(job, finished=True))
    assert (again.resumed, again.prepared, again.file_bytes) == (False, 1, len(before))
    assert read_bytes(shard_url(workspace, 0)) == before


def test_where_all_is_broken_no_pixels_are_stored(tmp_path: Path) -> None:
    archive, workspace = f"{tmp_path}/archive", f"{tmp_path}/workspace"
    fill(archive, {"i0.jpg": b"", "i1.jpg": b""})
    done = write_shard(job_of(archive, workspace, "i0", "i1"))
    assert (done.prepared, done.samples) == (0, None)
    assert done.rejected == Counter({"empty": 2})
    assert not exists(shard_url(workspace, 0))


def test_a_sample_that_lacks_only_pixels_is_no_new_sample(tmp_path: Path, jpeg: Jpeg) -> None:
    archive, workspace = f"{tmp_path}/archive", f"{tmp_path}/workspace"
    fill(archive, {"i0.jpg": jpeg(0), "i1.jpg": jpeg(1)})
    job = job_of(archive, workspace, "i0", "i1")
    known = job.images.assign(in_samples=[True, False])
    done = write_shard(ShardJob(0, known, workspace, SMALL, "npy", "run"))
    assert done.prepared == 2
    assert [row["image_id"] for row in part_rows(workspace, "samples", done.samples)] == ["i1"]


def test_an_image_that_changed_is_stored_as_what_was_read(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    fill(archive, {"i0.jpg": jpeg(0)})
    job = job_of(archive, workspace, "i0")
    changed = jpeg(9, 200, 150)
    fill(archive, {"i0.jpg": changed})
    done = write_shard(job)
    [now] = listing_of(archive).to_dict("records")
    [sample] = part_rows(workspace, "samples", done.samples)
    assert now["etag"] != job.images["etag"].iloc[0]
    assert (sample["etag"], sample["size_bytes"], sample["width"]) == (now["etag"], len(changed), 200)
    record = read_record(workspace, SMALL.dataset_key(), 0)
    assert record["etag"].tolist() == [now["etag"]]
    assert record["listed_etag"].tolist() == job.images["etag"].tolist()
    assert np.array_equal(shard_pixels(workspace, 0)[0], decode(changed, 16).pixels)


def test_colour_profiles_are_counted_when_a_shard_is_written_and_when_it_is_taken_over(
    place: str, jpeg: Jpeg
) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    marked = with_segments(segment(0xE2, b"ICC_PROFILE\0\1\1" + rgb_profile(P3, srgb_curve)), jpeg=jpeg(1))
    fill(archive, {"i0.jpg": jpeg(0), "i1.jpg": marked, "i2.jpg": b"torn"})
    job = job_of(archive, workspace, "i0", "i1", "i2")
    assert write_shard(job).colour_profiles == 1
    assert write_shard(replace(job, finished=True)).colour_profiles == 1
