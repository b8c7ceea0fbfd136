"""Tests of skinml/dataset/publish_samples.py: published once and whole, whenever a run dies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from skinml import tables
from skinml.dataset.metadata import Metadata
from skinml.dataset.neighbours import Duplicates
from skinml.dataset.plan import Plan
from skinml.dataset.publish_samples import check_shards, publish_pixels, publish_samples
from skinml.dataset.resume import resume
from skinml.dataset.shards import read_index
from skinml.dataset.survey import SurveyJob, find_duplicates, write_pending_index
from skinml.dataset.write_shard import ShardDone, ShardJob, write_shard
from skinml.errors import OverlapError, RunError, StorageError
from skinml.layout import index_url, shards_url, unpublished_url
from skinml.records.runs import Counts
from skinml.schemas import INDEX, QUARANTINE, SAMPLES
from skinml.storage.objects import exists, names, read_bytes, write_bytes
from skinml.storage.removal import delete
from tests.unit.dataset.test_write_shard import SMALL, fill, labels, plan_of

Jpeg = Callable[..., bytes]

KEY = SMALL.dataset_key()
BEFORE = 1_700_000_000_000_000_000


@dataclass
class Prepared:
    """A preparation up to its commit."""

    workspace: str
    plan: Plan
    shards: list[ShardDone]
    run_id: str

    def __post_init__(self) -> None:
        self.found = self.duplicates()

    @property
    def counts(self) -> Counts:
        done = sum(shard.prepared for shard in self.shards)
        rejected = sum(shard.rejected.total() for shard in self.shards) + len(self.plan.rejected)
        return Counts(self.plan.listed, self.plan.skipped, done, rejected)

    def publish(self, counts: Counts | None = None, reverse: bool = False) -> int | None:
        shards = self.shards[::-1] if reverse else self.shards
        counts = counts or self.counts
        version = publish_samples(
            self.workspace, shards, self.plan, self.found.groups, counts, self.run_id, self.plan.before
        )
        publish_pixels(self.workspace, KEY, shards, self.plan.rejected, counts, self.run_id)
        return version

    def duplicates(self) -> Duplicates:
        numbers = [shard.number for shard in self.shards]
        parts = [shard.samples for shard in self.shards if shard.samples is not None]
        job = SurveyJob(self.workspace, KEY, numbers, parts, self.plan.relabelled)
        if numbers:
            write_pending_index(job)
        return find_duplicates(job)


def prepare(place: str, metadata: Metadata, run_id: str, length: int = 2) -> Prepared:
    """Everything but the commit, in shards of `length` images."""
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    now = tables.snapshot(workspace, "samples")
    plan = replace(plan_of(archive, workspace, metadata), before=now)
    before = resume(workspace, KEY, plan.work)
    jobs = [
        ShardJob(number, images, workspace, SMALL, "npy", run_id, finished=True)
        for number, images in before.finished.items()
    ] + [
        ShardJob(number, before.left.iloc[start : start + length], workspace, SMALL, "npy", run_id)
        for number, start in enumerate(range(0, len(before.left), length), before.first)
    ]
    return Prepared(workspace, plan, [write_shard(job) for job in jobs], run_id)


def samples(place: str, at: int | None = None) -> list[tuple[str, str]]:
    rows = tables.read(f"{place}/workspace", "samples", ["image_id", "run_id"], at).to_pylist()
    return sorted((row["image_id"], row["run_id"]) for row in rows)


def broken(place: str) -> list[tuple[str, str]]:
    rows = tables.read(f"{place}/workspace", "quarantine", ["uri", "reason"]).to_pylist()
    return sorted((row["uri"].rsplit("/", 1)[-1], row["reason"]) for row in rows)


def located(place: str) -> list[tuple[str, int, int]]:
    rows = read_index(f"{place}/workspace", KEY).to_pylist()
    return [(row["image_id"], row["shard"], row["row"]) for row in rows]


def test_samples_quarantine_and_index_are_published(place: str, jpeg: Jpeg) -> None:
    images = {f"i{number}.jpg": jpeg(number) for number in range(5)}
    fill(f"{place}/archive", {**images, "i3.jpg": b"", "unknown.jpg": jpeg(9)})
    prepared = prepare(place, labels(*(f"i{number}" for number in range(5))), "run 1")
    assert (samples(place), broken(place), located(place)) == ([], [], [])
    version = prepared.publish(reverse=True)  # shards come back in any order
    assert version == tables.version(f"{place}/workspace", "samples")
    assert samples(place) == [(f"i{number}", "run 1") for number in (0, 1, 2, 4)]
    assert broken(place) == [("i3.jpg", "empty"), ("unknown.jpg", "no_metadata")]
    assert located(place) == [("i0", 0, 0), ("i1", 0, 1), ("i2", 1, 0), ("i4", 2, 0)]
    assert tables.read(f"{place}/workspace", "samples").schema == SAMPLES
    assert tables.read(f"{place}/workspace", "quarantine").schema == QUARANTINE
    assert read_index(f"{place}/workspace", KEY).schema == INDEX

    assert not [name for name in names(unpublished_url(f"{place}/workspace", KEY)) if "shard" in name]

    again = prepare(place, labels(*(f"i{number}" for number in range(5))), "run 2")
    assert (len(again.plan.work), again.plan.skipped) == (0, 6)
    assert again.publish() == version, "nothing new, nothing committed"


def test_new_images_extend_the_dataset(place: str, jpeg: Jpeg) -> None:
    metadata = labels("i0", "i1", "i2")
    fill(f"{place}/archive", {"i1.jpg": jpeg(1), "i2.jpg": jpeg(2)})
    first = prepare(place, metadata, "run 1").publish()
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    second = prepare(place, metadata, "run 2").publish()
    assert samples(place) == [("i0", "run 2"), ("i1", "run 1"), ("i2", "run 1")]
    assert located(place) == [("i1", 0, 0), ("i2", 0, 1), ("i0", 1, 0)]
    assert samples(place, at=first) == [("i1", "run 1"), ("i2", "run 1")], "training can go back"
    assert second != first


def test_of_two_preparations_at_once_the_second_commits_nothing_and_says_so(place: str, jpeg: Jpeg) -> None:
    metadata = labels("i0", "i1", "i2")
    fill(f"{place}/archive", {"i1.jpg": jpeg(1), "i2.jpg": jpeg(2)})
    first, second = (prepare(place, metadata, run_id) for run_id in ("run 1", "run 2"))
    first.publish()
    with pytest.raises(OverlapError, match=r"samples was changed by another run .* \(version None is now 1\)"):
        second.publish()
    assert samples(place) == [("i1", "run 1"), ("i2", "run 1")]
    fill(f"{place}/archive", {"i1.jpg": jpeg(7)})  # a newer version of one, which takes the other way to commit
    third, fourth = (prepare(place, metadata, run_id) for run_id in ("run 3", "run 4"))
    third.publish()
    with pytest.raises(OverlapError, match="run again"):
        fourth.publish()
    assert samples(place) == [("i1", "run 3"), ("i2", "run 1")]


def test_files_that_are_put_together_meanwhile_are_no_other_preparation(place: str, jpeg: Jpeg) -> None:
    metadata = labels("i0", "i1", "i2", "i3")
    for number in range(2):
        fill(f"{place}/archive", {f"i{number}.jpg": jpeg(number)})
        prepare(place, metadata, f"run {number}").publish()
    for number, change in ((2, "i2.jpg"), (3, "i0.jpg")):  # a new one, and a newer version of an old one
        fill(f"{place}/archive", {change: jpeg(10 + number)})
        prepared = prepare(place, metadata, f"run {number}")
        workspace = f"{place}/workspace"
        groups = tables.small_files(workspace, "samples")
        assert tables.put_together(workspace, "samples", groups, f"compact {number}", lambda _: None) == 2
        prepared.publish()
    assert samples(place) == [("i0", "run 3"), ("i1", "run 1"), ("i2", "run 2")]


def test_a_commit_that_is_tried_again_adds_nothing(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"i0.jpg": jpeg(0), "i1.jpg": b"", "unknown.jpg": jpeg(2)})
    prepared = prepare(place, labels("i0", "i1"), "run 1")
    versions = {prepared.publish() for _ in range(3)}
    assert len(versions) == 1
    assert samples(place) == [("i0", "run 1")]
    assert broken(place) == [("i1.jpg", "empty"), ("unknown.jpg", "no_metadata")]
    assert located(place) == [("i0", 0, 0)]


def test_counts_that_do_not_add_up_stop_everything(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"i0.jpg": jpeg(0), "i1.jpg": b""})
    prepared = prepare(place, labels("i0", "i1"), "run 1")
    with pytest.raises(RunError, match="counts do not add up: listed 3 is not skipped 0 \\+ done 1"):
        prepared.publish(Counts(3, 0, 1, 1))
    assert (samples(place), broken(place), located(place)) == ([], [], [])
    assert tables.version(f"{place}/workspace", "samples") is None


def test_pixels_that_are_not_there_as_they_were_written_stop_everything(place: str, jpeg: Jpeg) -> None:
    """As where a worker wrote them to a disk of its own."""
    fill(f"{place}/archive", {f"i{number}.jpg": jpeg(number) for number in range(4)} | {"i4.jpg": b""})
    prepared = prepare(place, labels(*(f"i{number}" for number in range(5))), "run 1")
    workspace, shards = prepared.workspace, prepared.shards
    check_shards(workspace, KEY, shards)
    files = [f"{shards_url(workspace, KEY)}/{shard.file}" for shard in shards if shard.file]
    pixels = read_bytes(files[1])
    write_bytes(files[1], pixels[:-1])
    cut_short = f"shard-00001.npy: {len(pixels)} bytes were written but it has {len(pixels) - 1}"
    with pytest.raises(RunError, match=cut_short):
        check_shards(workspace, KEY, shards)
    with pytest.raises(RunError, match=cut_short):
        publish_pixels(workspace, KEY, shards, prepared.plan.rejected, prepared.counts, "run 1")
    write_bytes(files[1], pixels)
    [quarantine] = [shard.quarantine for shard in shards if shard.quarantine is not None]
    delete([f"{workspace}/quarantine/{quarantine.path}"])
    with pytest.raises(RunError, match="bytes were written but the object is missing"):
        check_shards(workspace, KEY, shards)
    assert (samples(place), broken(place), located(place)) == ([], [], [])


def test_a_run_that_dies_before_its_index_is_made_good_by_the_next(tmp_path: Path, jpeg: Jpeg) -> None:
    place, metadata = str(tmp_path), labels("i0", "i1")
    fill(f"{place}/archive", {"i0.jpg": jpeg(0), "i1.jpg": jpeg(1)})
    blocked = Path(index_url(f"{place}/workspace", KEY))
    prepared = prepare(place, metadata, "run 1")
    blocked.mkdir()  # the index cannot be written: the last step fails
    with pytest.raises(StorageError):
        prepared.publish()
    blocked.rmdir()
    assert samples(place) == [("i0", "run 1"), ("i1", "run 1")]

    retry = prepare(place, metadata, "run 2")
    assert retry.plan.work["in_samples"].tolist() == [True, True]
    retry.publish()
    assert samples(place) == [("i0", "run 1"), ("i1", "run 1")], "a sample was added twice"
    assert [image_id for image_id, _, _ in located(place)] == ["i0", "i1"]
    assert len(prepare(place, metadata, "run 3").plan.work) == 0


def test_other_bytes_take_the_place_of_a_sample(place: str, jpeg: Jpeg) -> None:
    metadata = labels("i0", "i1")
    fill(f"{place}/archive", {"i0.jpg": jpeg(0), "i1.jpg": jpeg(1)})
    first = prepare(place, metadata, "run 1").publish()
    fill(f"{place}/archive", {"i0.jpg": jpeg(7, 200, 150)})
    prepared = prepare(place, metadata, "run 2")
    second = prepared.publish()
    assert prepared.publish() == second, "tried again it changes nothing"
    assert samples(place) == [("i0", "run 2"), ("i1", "run 1")]
    assert samples(place, at=first) == [("i0", "run 1"), ("i1", "run 1")]
    widths = tables.read(f"{place}/workspace", "samples", ["image_id", "width"]).sort_by("image_id")
    assert widths["width"].to_pylist() == [200, 96]
    assert tables.read(f"{place}/workspace", "samples").schema == SAMPLES


def test_other_bytes_that_are_broken_leave_the_sample(tmp_path: Path, jpeg: Jpeg) -> None:
    place, metadata = str(tmp_path), labels("i0", "i1", "i2")
    fill(f"{place}/archive", {"i0.jpg": jpeg(0), "i1.jpg": jpeg(1)})
    prepare(place, metadata, "run 1").publish()
    fill(f"{place}/archive", {"i0.jpg": b"<html>", "i1.jpg": jpeg(5), "i2.jpg": jpeg(2)})
    prepare(place, metadata, "run 2").publish()
    assert samples(place) == [("i0", "run 1"), ("i1", "run 2"), ("i2", "run 2")]
    assert broken(place) == [("i0.jpg", "not_an_image")]


def test_a_file_that_is_put_back_is_a_sample_again(place: str, jpeg: Jpeg) -> None:
    """Its first etag is in the index already, and must not be there twice."""
    metadata = labels("i0")
    for run, (seed, time_ns) in enumerate([(0, BEFORE), (1, BEFORE + 1), (0, BEFORE)]):
        fill(f"{place}/archive", {"i0.jpg": jpeg(seed)}, time_ns)
        prepared = prepare(place, metadata, f"run {run}")
        assert len(prepared.plan.work) == 1
        prepared.publish()
        assert samples(place) == [("i0", f"run {run}")]
    index = read_index(f"{place}/workspace", KEY).to_pandas()
    assert not index.duplicated(["uri", "etag"]).any()
    assert sorted(index["shard"]) == [1, 2], "the newest pixels stand for the bytes that came back"
    assert len(prepare(place, metadata, "run 3").plan.work) == 0


def test_another_dataset_of_the_same_samples_adds_none(tmp_path: Path, jpeg: Jpeg) -> None:
    place, metadata = str(tmp_path), labels("i0", "i1")
    fill(f"{place}/archive", {"i0.jpg": jpeg(0), "i1.jpg": jpeg(1)})
    prepare(place, metadata, "run 1").publish()
    plan = plan_of(f"{place}/archive", f"{place}/workspace", metadata, "another key")
    assert plan.work["in_samples"].tolist() == [True, True]
    assert len(plan.superseded) == 0


def test_without_any_sample_there_is_no_version(tmp_path: Path) -> None:
    place = str(tmp_path)
    fill(f"{place}/archive", {"i0.jpg": b"", "x.txt": b""})
    assert prepare(place, labels("i0"), "run 1").publish() is None
    assert broken(place) == [("i0.jpg", "empty")]
    assert not exists(index_url(f"{place}/workspace", KEY))
    assert names(f"{place}/workspace") == ["quarantine", "shards"]
    assert names(f"{place}/workspace/shards/{KEY}") == []


def test_an_empty_archive_is_prepared_in_vain(tmp_path: Path) -> None:
    place = str(tmp_path)
    Path(f"{place}/archive").mkdir()
    prepared = prepare(place, labels("i0"), "run 1")
    assert prepared.publish() is None
    assert prepared.plan.metadata_without_image == ("i0",)
