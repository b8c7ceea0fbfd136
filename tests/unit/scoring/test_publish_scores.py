"""Tests of skinml/scoring/publish_scores.py: published once, wherever a run dies."""

from __future__ import annotations

import logging
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest

from skinml import tables
from skinml.errors import RunError, StorageError
from skinml.layout import champion_url
from skinml.models.champion import Champion
from skinml.records.runs import Counts, Run, begin, run_row
from skinml.schemas import PROMOTIONS
from skinml.scoring.counted import Counted, whose_rows_count
from skinml.scoring.known_bytes import add_known_bytes, read_known_bytes
from skinml.scoring.ledger import make_ledger, read_quarantined, read_scored
from skinml.scoring.pending import Window, find_pending
from skinml.scoring.predict import ScoreJob, score_shard
from skinml.scoring.publish_scores import Night, Published, finish, publish_night, unfinished_runs
from skinml.storage.listing import list_images
from skinml.storage.objects import write_bytes
from skinml.storage.removal import delete
from tests.unit.scoring.test_predict import DAY, plain, registered

TINY = ("tiny", "v1")
OF_TINY = Counted((TINY,))
OBJECTS = {"a.bmp": plain(1), "b.bmp": b"", "c.bmp": plain(3), "d.bmp": b"<html>", "e.bmp": plain(5)}


def night(place: str, run_id: str, folder: Path, recheck: bool = False, counted: Counted = OF_TINY) -> Night:
    """Everything but the commit, in shards of two images; of the first of the counted models."""
    workspace = f"{place}/workspace"
    before = tables.snapshot(workspace, "scores")
    ledger = make_ledger([*read_scored(workspace, counted.models), *read_quarantined(workspace)])
    listing = sorted_listing(f"{place}/archive")
    pending = find_pending(listing, ledger, Window(), folder / f"{run_id}.parquet", recheck)
    known = read_known_bytes(workspace, counted.models, pending, ledger if recheck else None)
    model = replace(registered(place), version=counted.own[1])
    shards = [
        score_shard(ScoreJob(number, images, workspace, model, run_id, DAY))
        for number, images in enumerate(add_known_bytes(pending.read(2), known))
    ]
    done = sum(shard.scored for shard in shards)
    rejected = sum(shard.rejected.total() for shard in shards)
    skipped = pending.skipped + sum(shard.compared.same for shard in shards)
    run = replace(begin("score", {}), run_id=run_id)
    return Night(run, model, shards, Counts(pending.listed, skipped, done, rejected), before, counted)


def sorted_listing(archive: str):  # type: ignore[no-untyped-def]
    """The archive in order of names, which a folder does not promise."""
    for piece in list_images(archive):
        yield replace(piece, images=piece.images.sort_by("uri"))


def fill(place: str) -> None:
    for name, data in OBJECTS.items():
        write_bytes(f"{place}/archive/{name}", data)


def scored(place: str) -> list[str]:
    return sorted(tables.read(f"{place}/workspace", "scores", ["image_id"])["image_id"].to_pylist())


def broken(place: str) -> list[str]:
    return sorted(tables.read(f"{place}/workspace", "quarantine", ["reason"])["reason"].to_pylist())


def publish(place: str, one: Night) -> Published:
    return publish_night(f"{place}/workspace", one)


def test_every_image_is_scored_once_however_often_it_is_tried(place: str, tmp_path: Path) -> None:
    fill(place)
    first = night(place, "run 1", tmp_path)
    assert (scored(place), broken(place)) == ([], [])
    versions = {publish(place, first).version for _ in range(3)}
    assert versions == {tables.version(f"{place}/workspace", "scores")}
    assert (scored(place), broken(place)) == (["a", "c", "e"], ["empty", "not_an_image"])

    second = night(place, "run 2", tmp_path)
    assert (second.shards, second.counts) == ([], Counts(5, 5, 0, 0))
    assert publish(place, second).version in versions


def test_counts_that_do_not_add_up_stop_everything(place: str, tmp_path: Path) -> None:
    fill(place)
    wrong = replace(night(place, "run 1", tmp_path), counts=Counts(5, 0, 2, 2))
    with pytest.raises(RunError, match="counts do not add up: listed 5 is not skipped 0 \\+ done 2"):
        publish(place, wrong)
    assert (scored(place), broken(place)) == ([], [])
    assert tables.version(f"{place}/workspace", "scores") is None


@pytest.mark.parametrize("table", ["scores", "quarantine"])
def test_a_part_that_is_not_there_stops_everything(place: str, tmp_path: Path, table: str) -> None:
    fill(place)
    one = night(place, "run 1", tmp_path)
    part = next(part for shard in one.shards if (part := getattr(shard, table)) is not None)
    delete([f"{place}/workspace/{table}/{part.path}"])
    with pytest.raises(RunError, match="bytes were written but the object is missing"):
        publish(place, one)
    assert (scored(place), broken(place)) == ([], [])


def test_where_nothing_was_ever_scored_there_is_no_version(tmp_path: Path) -> None:
    one = night_of_nothing(tmp_path)
    assert publish_night(str(tmp_path / "workspace"), one).version is None
    assert not (tmp_path / "workspace").exists()


def night_of_nothing(tmp_path: Path) -> Night:
    model = registered(str(tmp_path))
    run = Run("run", "score", begin("score", {}).started_at, {})
    return Night(
        run, model, [], Counts(), tables.snapshot(str(tmp_path / "workspace"), "scores"), Counted((TINY,))
    )


# Two runs at once


def test_two_runs_that_found_the_same_images_new_leave_one_row_each(place: str, tmp_path: Path) -> None:
    fill(place)
    one = night(place, "run 1", tmp_path)
    write_bytes(f"{place}/archive/f.bmp", plain(6))
    other = night(place, "run 2", tmp_path)
    assert publish(place, one).counts == Counts(5, 0, 3, 2)
    assert publish(place, other).counts == Counts(6, 5, 1, 0)
    assert (scored(place), broken(place)) == (["a", "c", "e", "f"], ["empty", "not_an_image"])
    assert publish(place, other).counts == Counts(6, 5, 1, 0), "asked again it says the same"


def test_runs_that_commit_at_the_same_moment_leave_one_row_each(place: str, tmp_path: Path) -> None:
    fill(place)
    nights = [night(place, f"run {number}", tmp_path) for number in range(4)]
    together = Barrier(len(nights))

    def commit(one: Night) -> Published:
        together.wait()
        return publish(place, one)

    with ThreadPoolExecutor(len(nights)) as threads:
        published = list(threads.map(commit, nights))
    assert (scored(place), broken(place)) == (["a", "c", "e"], ["empty", "not_an_image"])
    for one in published:
        one.counts.check()
    assert sum(one.counts.done for one in published) == 3
    assert sum(one.counts.quarantined for one in published) == 2


def test_two_rechecks_that_found_the_same_change_leave_one_row(tmp_path: Path) -> None:
    """Beside a third run that scores what is new."""
    place = str(tmp_path)
    fill(place)
    publish(place, night(place, "run 1", tmp_path))
    path = Path(f"{place}/archive/a.bmp")
    status = path.stat()
    path.write_bytes(plain(77))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    rechecks = [night(place, f"run {number}", tmp_path, recheck=True) for number in (2, 3)]
    write_bytes(f"{place}/archive/f.bmp", plain(6))
    publish(place, night(place, "run 4", tmp_path))
    assert [publish(place, one).counts for one in rechecks] == [Counts(5, 4, 1, 0), Counts(5, 5, 0, 0)]
    assert (scored(place), broken(place)) == (["a", "a", "c", "e", "f"], ["empty", "not_an_image"])
    rows = tables.read(f"{place}/workspace", "scores", ["uri", "etag"]).to_pylist()
    assert len({(row["uri"], row["etag"]) for row in rows}) == 5
    assert night(place, "run 5", tmp_path, recheck=True).counts == Counts(6, 6, 0, 0)


def test_another_run_that_read_other_bytes_under_one_etag_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = str(tmp_path)
    fill(place)
    one = night(place, "run 1", tmp_path)
    path = Path(f"{place}/archive/a.bmp")
    status = path.stat()
    path.write_bytes(plain(77))  # as large, and as old: no listing can tell
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    other = night(place, "run 2", tmp_path)
    publish(place, one)
    with caplog.at_level(logging.ERROR):
        counts = publish(place, other).counts
    assert "run 1 has scored other bytes under the same uri and etag" in caplog.text
    assert counts == Counts(5, 4, 0, 1)
    assert scored(place) == ["a", "c", "e"]
    assert broken(place) == ["duplicate_id", "empty", "not_an_image"]


def as_champion(place: str, version: str) -> Counted:
    """Promote this version; whose rows count for a night that begins now."""
    champion = Champion(model_name="tiny", model_version=version)
    write_bytes(champion_url(f"{place}/workspace"), champion.model_dump_json().encode())
    row = dict.fromkeys(PROMOTIONS.names) | {"alias": "champion", "decision": "promoted"}
    row |= {"model_name": "tiny", "model_version": version}
    tables.append(f"{place}/workspace", "promotions", pa.Table.from_pylist([row], PROMOTIONS), version)
    return whose_rows_count(f"{place}/workspace", ("tiny", version), champion=True)


def versions(place: str) -> Counter[str]:
    return Counter(tables.read(f"{place}/workspace", "scores")["model_version"].to_pylist())


@pytest.mark.parametrize("first", [0, 1])
def test_nights_of_two_champions_at_once_leave_one_row_each(place: str, tmp_path: Path, first: int) -> None:
    """A promotion came between their beginnings; whichever commits last leaves its rows out."""
    fill(place)
    nights = [
        night(place, "run 1", tmp_path, counted=as_champion(place, "v1")),
        night(place, "run 2", tmp_path, counted=as_champion(place, "v2")),
    ]
    assert publish(place, nights[first]).counts == Counts(5, 0, 3, 2)
    assert publish(place, nights[1 - first]).counts == Counts(5, 5, 0, 0)
    assert versions(place) == {("v1", "v2")[first]: 3}


def test_rows_of_a_challenger_that_was_promoted_meanwhile_count(tmp_path: Path) -> None:
    """Although they were there before the night began, which had no reason to read them."""
    place = str(tmp_path)
    fill(place)
    publish(place, night(place, "run 1", tmp_path, counted=Counted((("tiny", "v2"),))))
    of_first = night(place, "run 2", tmp_path, counted=as_champion(place, "v1"))
    assert of_first.counts.done == 3
    as_champion(place, "v2")
    assert publish(place, of_first).counts == Counts(5, 5, 0, 0)
    assert versions(place) == {"v2": 3}


def test_a_backfill_beside_nights_adds_each_of_its_rows_once(place: str, tmp_path: Path) -> None:
    fill(place)
    publish(place, night(place, "run 1", tmp_path, counted=as_champion(place, "v1")))
    counted = as_champion(place, "v2")
    alone = Counted((("tiny", "v2"),))
    backfills = [night(place, f"run {number}", tmp_path, counted=alone) for number in (2, 3)]
    write_bytes(f"{place}/archive/f.bmp", plain(6))
    late = night(place, "run 4", tmp_path, counted=alone)
    of_first = night(place, "run 5", tmp_path, counted=Counted((("tiny", "v1"), ("tiny", "v2"))))
    tonight = night(place, "run 6", tmp_path, counted=counted)
    assert publish(place, tonight).counts == Counts(6, 5, 1, 0)
    assert [publish(place, one).counts for one in backfills] == [Counts(5, 2, 3, 0), Counts(5, 5, 0, 0)]
    assert publish(place, late).counts == Counts(6, 6, 0, 0), "the night has scored the new image"
    assert publish(place, of_first).counts == Counts(6, 6, 0, 0)
    assert versions(place) == {"v1": 3, "v2": 4}


def test_another_champion_that_read_other_bytes_under_one_etag_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the hash: probabilities of two models differ anyway."""
    place = str(tmp_path)
    fill(place)
    one = night(place, "run 1", tmp_path, counted=as_champion(place, "v1"))
    path = Path(f"{place}/archive/a.bmp")
    status = path.stat()
    path.write_bytes(plain(77))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    other = night(place, "run 2", tmp_path, counted=as_champion(place, "v2"))
    publish(place, one)
    assert publish(place, other).counts == Counts(5, 4, 0, 1)
    assert "run 1 has scored other bytes under the same uri and etag" in caplog.text
    assert broken(place) == ["duplicate_id", "empty", "not_an_image"]


def test_an_image_that_was_put_back_on_the_way_gets_no_second_row(tmp_path: Path) -> None:
    """Listed with other bytes, read with those that have a row: the etag of what was read decides."""
    place = str(tmp_path)
    path = Path(f"{place}/archive/a.bmp")
    write_bytes(str(path), plain(1))
    status = path.stat()
    publish(place, night(place, "run 1", tmp_path))
    path.write_bytes(plain(2))
    workspace = f"{place}/workspace"
    before = tables.snapshot(workspace, "scores")
    pending = find_pending(list_images(f"{place}/archive"), make_ledger([]), Window(), tmp_path / "p.parquet")
    path.write_bytes(plain(1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    [images] = pending.read(10)
    shard = score_shard(ScoreJob(0, images, workspace, registered(place), "run 2", DAY))
    assert shard.replaced == 1
    run = replace(begin("score", {}), run_id="run 2")
    one = Night(run, registered(place), [shard], Counts(1, 0, 1, 0), before, Counted((TINY,)))
    assert publish(place, one).counts == Counts(1, 1, 0, 0)
    assert scored(place) == ["a"]


# Dying


def test_a_run_that_dies_between_its_commits_is_finished_by_the_next(tmp_path: Path) -> None:
    place = str(tmp_path)
    fill(place)
    log = Path(f"{place}/workspace/quarantine/_delta_log")
    one = night(place, "run 1", tmp_path)
    log.write_bytes(b"in the way")  # the quarantine cannot be committed: the second commit fails
    with pytest.raises((StorageError, RunError)):
        publish(place, one)
    log.unlink()
    assert (scored(place), broken(place)) == (["a", "c", "e"], [])

    [follow_up] = unfinished_runs(f"{place}/workspace")
    for _ in range(2):  # and should that one die as well, by the one after it
        finish(f"{place}/workspace", follow_up, "run 2")
    assert (scored(place), broken(place)) == (["a", "c", "e"], ["empty", "not_an_image"])
    [row] = tables.read(f"{place}/workspace", "runs").to_pylist()
    assert (row["run_id"], row["status"], row["done"], row["quarantined"]) == ("run 1", "completed", 3, 2)
    assert row["error"] == "died after its scores were committed; finished by run 2"
    assert unfinished_runs(f"{place}/workspace") == []
    assert publish(place, one).counts == Counts(5, 0, 3, 2), "if it was alive after all, it finds all done"
    assert broken(place) == ["empty", "not_an_image"]


def test_a_run_that_could_only_say_that_it_failed_is_finished_too(tmp_path: Path) -> None:
    """As when storage goes away between the two commits and is back in time for the row."""
    place = str(tmp_path)
    workspace = f"{place}/workspace"
    fill(place)
    log = Path(f"{workspace}/quarantine/_delta_log")
    one = night(place, "run 1", tmp_path)
    log.write_bytes(b"in the way")
    with pytest.raises((StorageError, RunError)):
        publish(place, one)
    log.unlink()
    tables.append(
        workspace, "runs", run_row(one.run, "failed", one.counts, "v1", "StorageError: gone"), "run 1"
    )

    [follow_up] = unfinished_runs(workspace)
    finish(workspace, follow_up, "run 2")
    assert (scored(place), broken(place)) == (["a", "c", "e"], ["empty", "not_an_image"])
    [row] = tables.read(workspace, "runs").to_pylist()
    assert (row["status"], row["error"], row["quarantined"]) == ("failed", "StorageError: gone", 2)
    assert unfinished_runs(workspace) == []


def test_a_night_of_broken_images_alone_is_finished_too(tmp_path: Path) -> None:
    place = str(tmp_path)
    write_bytes(f"{place}/archive/b.bmp", b"")
    publish(place, night(place, "run 1", tmp_path))
    assert (scored(place), broken(place)) == ([], ["empty"])
    [follow_up] = unfinished_runs(f"{place}/workspace")
    finish(f"{place}/workspace", follow_up, "run 2")
    [row] = tables.read(f"{place}/workspace", "runs").to_pylist()
    assert (row["listed"], row["quarantined"]) == (1, 1)
