"""Tests of skinml/scoring/commit.py: a night is published once, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from skinml import tables
from skinml.errors import RunError, StorageError
from skinml.runs import Counts
from skinml.scoring.commit import publish_scores
from skinml.scoring.pending import Pending, find_pending
from skinml.scoring.predict import ScoreJob, ShardScored, score_shard
from skinml.storage.objects import write_bytes
from tests.unit.scoring.test_predict import DAY, listing_of, plain, registered

OBJECTS = {"a.bmp": plain(1), "b.bmp": b"", "c.bmp": plain(3), "d.bmp": b"<html>", "e.bmp": plain(5)}


def night(place: str, run_id: str) -> tuple[Pending, list[ShardScored], Counts]:
    """Everything but the commit, in shards of two images."""
    workspace = f"{place}/workspace"
    scored = tables.read(workspace, "scores", ["uri", "etag"]).to_pandas()
    quarantine = tables.read(workspace, "quarantine", ["uri", "etag", "reason"]).to_pandas()
    pending = find_pending(listing_of(f"{place}/archive"), scored, quarantine)
    model = registered(place)
    shards = [
        score_shard(ScoreJob(number, pending.images.iloc[start : start + 2], workspace, model, run_id, DAY))
        for number, start in enumerate(range(0, len(pending.images), 2))
    ]
    done = sum(shard.scored for shard in shards)
    rejected = sum(shard.rejected.total() for shard in shards)
    return pending, shards, Counts(pending.listed, pending.skipped, done, rejected)


def fill(place: str) -> None:
    for name, data in OBJECTS.items():
        write_bytes(f"{place}/archive/{name}", data)


def scored(place: str) -> list[str]:
    return sorted(tables.read(f"{place}/workspace", "scores", ["image_id"])["image_id"].to_pylist())


def broken(place: str) -> list[str]:
    return sorted(tables.read(f"{place}/workspace", "quarantine", ["reason"])["reason"].to_pylist())


def test_every_image_is_scored_once_however_often_it_is_tried(place: str) -> None:
    fill(place)
    _, shards, counts = night(place, "run 1")
    assert (scored(place), broken(place)) == ([], [])
    versions = {publish_scores(f"{place}/workspace", shards, counts, "run 1") for _ in range(3)}
    assert versions == {tables.version(f"{place}/workspace", "scores")}
    assert (scored(place), broken(place)) == (["a", "c", "e"], ["empty", "not_an_image"])

    pending, shards, counts = night(place, "run 2")
    assert (pending.skipped, shards, counts) == (5, [], Counts(5, 5, 0, 0))
    assert {publish_scores(f"{place}/workspace", shards, counts, "run 2")} == versions


def test_counts_that_do_not_add_up_stop_everything(place: str) -> None:
    fill(place)
    _, shards, _ = night(place, "run 1")
    with pytest.raises(RunError, match="images do not add up: listed 5 is not skipped 0 \\+ done 2"):
        publish_scores(f"{place}/workspace", shards, Counts(5, 0, 2, 2), "run 1")
    assert (scored(place), broken(place)) == ([], [])
    assert tables.version(f"{place}/workspace", "scores") is None


def test_a_run_that_dies_between_its_commits_is_made_good_by_the_next(tmp_path: Path) -> None:
    place = str(tmp_path)
    fill(place)
    _, shards, counts = night(place, "run 1")
    log = Path(f"{place}/workspace/quarantine/_delta_log")
    log.write_bytes(b"in the way")  # the quarantine cannot be committed: the second commit fails
    with pytest.raises((StorageError, RunError)):
        publish_scores(f"{place}/workspace", shards, counts, "run 1")
    log.unlink()
    assert (scored(place), broken(place)) == (["a", "c", "e"], [])

    _, shards, counts = night(place, "run 2")
    assert counts == Counts(5, 3, 0, 2)
    publish_scores(f"{place}/workspace", shards, counts, "run 2")
    assert (scored(place), broken(place)) == (["a", "c", "e"], ["empty", "not_an_image"])


def test_where_nothing_was_ever_scored_there_is_no_version(tmp_path: Path) -> None:
    assert publish_scores(str(tmp_path), [], Counts(), "run") is None
    assert list(tmp_path.iterdir()) == []
