"""Tests of skinml/dataset/resume.py: what a run that died has finished is not done again."""

from __future__ import annotations

from collections.abc import Callable

from skinml.dataset.outcome import forget_rejected
from skinml.dataset.resume import resume
from skinml.layout import shards_url, unpublished_url
from skinml.storage.objects import write_bytes
from skinml.storage.removal import delete
from tests.unit.dataset.test_publish_samples import KEY, located, prepare, samples
from tests.unit.dataset.test_write_shard import fill, labels

Jpeg = Callable[..., bytes]
IDS = [f"i{number}" for number in range(6)]


def test_finished_shards_are_taken_over_and_the_rest_is_cut_anew(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {f"{name}.jpg": jpeg(number) for number, name in enumerate(IDS)})
    dead = prepare(place, labels(*IDS), "dead")
    unpublished = unpublished_url(dead.workspace, KEY)
    delete([f"{unpublished}/shard-00001.parquet"])  # it died before this shard was finished

    before = resume(dead.workspace, KEY, dead.plan.work)
    assert {number: rows["image_id"].tolist() for number, rows in before.finished.items()} == {
        0: ["i0", "i1"],
        2: ["i4", "i5"],
    }
    assert before.left["image_id"].tolist() == ["i2", "i3"]
    assert before.first == 3, "the number of a shard that may be half there is not used again"

    after = prepare(place, labels(*IDS), "after")
    assert [(shard.number, shard.resumed) for shard in after.shards] == [(0, True), (2, True), (3, False)]
    after.publish()
    assert samples(place) == [(name, "after") for name in IDS]
    assert sorted(located(place)) == [
        *[("i0", 0, 0), ("i1", 0, 1), ("i2", 3, 0), ("i3", 3, 1)],
        *[("i4", 2, 0), ("i5", 2, 1)],
    ]


def test_what_a_refused_run_could_not_use_is_tried_again_and_the_rest_is_not(place: str, jpeg: Jpeg) -> None:
    """Too many were bad, perhaps because of the machine: nothing was committed, what is decoded stays."""
    images = {f"{name}.jpg": jpeg(number) for number, name in enumerate(IDS)}
    fill(f"{place}/archive", {**images, "i1.jpg": b"", "i2.jpg": b"", "i3.jpg": b""})
    refused = prepare(place, labels(*IDS), "refused")
    forget_rejected(refused.workspace, KEY, [shard.number for shard in refused.shards if shard.rejected])

    before = resume(refused.workspace, KEY, refused.plan.work)
    assert {number: rows["image_id"].tolist() for number, rows in before.finished.items()} == {
        0: ["i0"],
        2: ["i4", "i5"],
    }
    assert before.left["image_id"].tolist() == ["i1", "i2", "i3"]
    fill(f"{place}/archive", {f"{name}.jpg": images[f"{name}.jpg"] for name in ("i1", "i2", "i3")})
    after = prepare(place, labels(*IDS), "after")
    after.publish()
    assert samples(place) == [(name, "after") for name in IDS]
    assert sorted(located(place))[0] == ("i0", 0, 0)
    assert sorted(located(place))[4:] == [("i4", 2, 0), ("i5", 2, 1)]


def test_a_shard_with_an_image_that_changed_is_done_again(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {f"{name}.jpg": jpeg(number) for number, name in enumerate(IDS)})
    dead = prepare(place, labels(*IDS), "dead")
    fill(f"{place}/archive", {"i3.jpg": jpeg(33, 200, 150)})
    after = prepare(place, labels(*IDS), "after")
    assert [(shard.number, shard.resumed) for shard in after.shards] == [(0, True), (2, True), (3, False)]
    assert len(dead.shards) == 3


def test_new_images_between_do_not_undo_what_is_finished(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {f"{name}.jpg": jpeg(number) for number, name in enumerate(IDS)})
    prepare(place, labels(*IDS), "dead")
    fill(f"{place}/archive", {"a new one.jpg": jpeg(9)})
    after = prepare(place, labels("a new one", *IDS), "after")
    assert [shard.resumed for shard in after.shards] == [True, True, True, False]
    after.publish()
    assert len(samples(place)) == 7


def test_what_is_published_is_not_taken_over(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    first = prepare(place, labels("i0", "i1"), "first")
    first.publish()
    fill(f"{place}/archive", {"i1.jpg": jpeg(1)})
    second = prepare(place, labels("i0", "i1"), "second")
    assert [(shard.number, shard.resumed) for shard in second.shards] == [(1, False)]


def test_foreign_files_do_not_confuse_the_numbers(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"i0.jpg": jpeg(0)})
    folder = shards_url(f"{place}/workspace", KEY)
    for name in ("notes.txt", "shard-00041.npy", "shard-x.npy", "unpublished/notes.txt"):
        write_bytes(f"{folder}/{name}", b"")
    [shard] = prepare(place, labels("i0"), "run").shards
    assert shard.number == 42
