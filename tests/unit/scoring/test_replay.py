"""Tests of skinml/scoring/replay.py: what is in quarantine is tried again, and every image counts once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from skinml import tables
from skinml.records.quarantine import in_quarantine, quarantine_rows
from skinml.records.runs import Counts, begin, run_row
from skinml.scoring.counted import Counted
from skinml.scoring.ledger import Known, hash_keys, look_up, make_ledger, read_quarantined
from skinml.scoring.predict import ScoreJob, ScoringModel, score_shard
from skinml.scoring.publish_scores import Night, publish_night
from skinml.scoring.replay import Replayable, find_replayable, leave_known_failures
from skinml.storage.listing import list_images
from skinml.storage.objects import write_bytes
from skinml.storage.removal import delete
from tests.unit.scoring.test_predict import DAY, plain, registered

NAMES = ("broken", "gone", "mended", "other", "replaced")


def fill(place: str) -> None:
    """Images that a former decoder could not use: some of them this one can."""
    for number, name in enumerate(NAMES):
        write_bytes(f"{place}/archive/{name}.bmp", b"" if name == "other" else plain(number))
    write_bytes(f"{place}/archive/broken.bmp", b"<html>")
    listed = pa.Table.from_batches([piece.images for piece in list_images(f"{place}/archive")]).to_pandas()
    rejected = listed.assign(reason="decode_error", detail="an older decoder's words")
    rejected.loc[rejected["uri"].str.endswith("broken.bmp"), "reason"] = "not_an_image"
    workspace = f"{place}/workspace"
    tables.append(workspace, "quarantine", quarantine_rows(rejected, "score", "run 1"), "run 1")
    ours = pd.DataFrame({"uri": ["p"], "etag": "e", "size_bytes": 1, "reason": "empty", "detail": "0 bytes"})
    tables.append(workspace, "quarantine", quarantine_rows(ours, "prepare", "run 0"), "run 0")
    delete([f"{place}/archive/gone.bmp"])
    write_bytes(f"{place}/archive/replaced.bmp", plain(77) + bytes(1))


def replay(place: str, folder: Path, run_id: str, version: str = "v1") -> tuple[Replayable, int, Counts]:
    """What the flow does, without workers of its own."""
    workspace = f"{place}/workspace"
    model: ScoringModel = replace(registered(place), version=version)
    run = replace(begin("replay", {}), run_id=run_id)
    images = in_quarantine(workspace)
    before = tables.snapshot(workspace, "scores")
    replayable = find_replayable(workspace, images, [model.key], folder / f"{run_id}.parquet")
    shards = [
        score_shard(ScoreJob(number, piece, workspace, model, run_id, DAY, "replay"))
        for number, piece in enumerate(replayable.pending.read(1))
    ]
    news, failed_again = leave_known_failures(workspace, shards, images)
    skipped = (
        replayable.of_prepare
        + replayable.gone
        + replayable.replaced
        + replayable.pending.skipped
        + failed_again
    )
    done, other = sum(shard.scored for shard in news), sum(shard.rejected.total() for shard in news)
    night = Night(run, model, news, Counts(len(images), skipped, done, other), before, Counted((model.key,)))
    counts = publish_night(workspace, night).counts
    tables.append(workspace, "runs", run_row(run, "completed", counts, version), run_id)
    return replayable, failed_again, counts


def state(place: str) -> list[tuple[str, str, int]]:
    found = in_quarantine(f"{place}/workspace", flow="score")
    names = found["uri"].str.extract(r"(\w+)\.bmp$")[0]
    return sorted(zip(names, found["reason"], found["tries"], strict=True))


def test_a_replay_scores_what_it_can_and_says_what_is_news(place: str, tmp_path: Path) -> None:
    fill(place)
    assert [name for name, _, _ in state(place)] == list(NAMES)

    replayable, failed_again, counts = replay(place, tmp_path, "replay-1")
    assert (replayable.pending.images, replayable.gone, replayable.replaced, replayable.of_prepare) == (
        3,
        1,
        1,
        1,
    )
    assert (counts, failed_again) == (Counts(6, 4, 1, 1), 1)
    [row] = tables.read(f"{place}/workspace", "scores").to_pylist()
    assert (row["image_id"], row["run_id"]) == ("mended", "replay-1")
    assert state(place) == [
        ("broken", "not_an_image", 1),
        ("gone", "decode_error", 1),
        ("other", "empty", 2),
        ("replaced", "decode_error", 1),
    ]

    replayable, failed_again, counts = replay(place, tmp_path, "replay-2")
    assert (replayable.pending.images, failed_again, counts) == (2, 2, Counts(5, 5, 0, 0))
    assert tables.read(f"{place}/workspace", "quarantine").num_rows == 7, "no second row for the same failure"
    assert tables.read(f"{place}/workspace", "scores").num_rows == 1


def test_another_model_may_have_what_a_replay_could_use(place: str, tmp_path: Path) -> None:
    """The nightly ledger leaves out what is in quarantine, but no longer what a replay has scored."""
    fill(place)
    workspace = f"{place}/workspace"
    listed = pa.Table.from_batches([piece.images for piece in list_images(f"{place}/archive")])
    names = listed["uri"].to_pandas().str.extract(r"(\w+)\.bmp$")[0].tolist()
    keys, sizes = hash_keys(listed["uri"], listed["etag"]), listed["size_bytes"].to_numpy()

    def quarantined() -> list[str]:
        answer = look_up(make_ledger(read_quarantined(workspace)), keys, sizes)
        return sorted(name for name, known in zip(names, answer, strict=True) if known == Known.KNOWN)

    assert quarantined() == ["broken", "mended", "other"]
    replay(place, tmp_path, "replay-1")
    assert quarantined() == ["broken", "other"]


def test_what_the_model_has_scored_by_now_is_left_alone(tmp_path: Path) -> None:
    place = str(tmp_path)
    fill(place)
    replay(place, tmp_path, "replay-1", "another")
    book = tables.read(f"{place}/workspace", "quarantine").to_pandas()
    mended = book[book["uri"].str.contains("mended")]
    rows = quarantine_rows(mended.assign(reason="duplicate_id"), "score", "run 2")  # of another archive's night
    tables.append(f"{place}/workspace", "quarantine", rows, "run 2")
    replayable, _, counts = replay(place, tmp_path, "replay-2", "another")
    assert (replayable.pending.skipped, counts.done) == (1, 0)
    assert tables.read(f"{place}/workspace", "scores").num_rows == 1


def test_what_an_earlier_champion_has_scored_is_skipped(tmp_path: Path) -> None:
    place = str(tmp_path)
    fill(place)
    workspace = f"{place}/workspace"
    images = in_quarantine(workspace)
    replay(place, tmp_path, "replay-1", "earlier")
    counted = [("tiny", "v1"), ("tiny", "earlier")]
    found = find_replayable(workspace, images, counted, tmp_path / "p.parquet").pending
    assert (found.images, found.skipped, found.by_others) == (2, 1, 1)
    assert find_replayable(workspace, images, counted[:1], tmp_path / "p.parquet").pending.images == 3


def test_of_two_versions_of_a_name_the_latest_is_tried(tmp_path: Path) -> None:
    place = str(tmp_path)
    fill(place)
    path = tmp_path / "archive" / "mended.bmp"
    os.utime(path, (1, 1))
    listed = pa.Table.from_batches([piece.images for piece in list_images(f"{place}/archive")]).to_pandas()
    newer = listed[listed["uri"] == path.as_uri()].assign(reason="decode_error", detail="")
    tables.append(f"{place}/workspace", "quarantine", quarantine_rows(newer, "score", "run 2"), "run 2")
    replayable, _, counts = replay(place, tmp_path, "replay-1")
    assert (replayable.pending.images, replayable.replaced, counts) == (3, 2, Counts(7, 5, 1, 1))


def test_what_cannot_be_looked_at_is_tried_all_the_same(tmp_path: Path) -> None:
    place = str(tmp_path)
    loop = tmp_path / "loop.bmp"
    loop.symlink_to(loop)
    lost = pd.DataFrame(
        {"uri": [loop.as_uri()], "etag": "missing", "size_bytes": 0, "reason": "read_error", "detail": ""}
    )
    tables.append(f"{place}/workspace", "quarantine", quarantine_rows(lost, "score", "run 1"), "run 1")
    replayable, failed_again, counts = replay(place, tmp_path, "replay-1")
    assert (replayable.pending.images, failed_again, counts) == (1, 1, Counts(1, 1, 0, 0))


def test_a_folder_that_could_not_be_listed_is_never_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path)
    workspace, folder = f"{place}/workspace", f"file://{place}/archive/closed"
    (tmp_path / "archive" / "closed").mkdir(parents=True)
    rows = pd.DataFrame({"uri": [folder], "etag": "unreadable", "size_bytes": 0, "reason": "read_error"})
    tables.append(workspace, "quarantine", quarantine_rows(rows.assign(detail="no"), "score", "run 1"), "run 1")
    with monkeypatch.context() as closed:  # root may list any folder: the system's answer is put in its place
        scan = os.scandir

        def refused(path: str) -> Iterator[os.DirEntry[str]]:
            if str(path).endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return scan(path)

        closed.setattr(os, "scandir", refused)
        assert in_quarantine(workspace)["uri"].tolist() == [folder]
        replayable, failed_again, counts = replay(place, tmp_path, "replay-1")
        assert (replayable.pending.images, failed_again, counts) == (1, 1, Counts(1, 1, 0, 0))
    assert in_quarantine(workspace).empty, "it can be listed again: nothing of it is stuck"
    assert replay(place, tmp_path, "replay-2")[2] == Counts(0, 0, 0, 0)


def test_an_older_spelling_is_replayed_once_and_leaves_the_quarantine(tmp_path: Path) -> None:
    place = str(tmp_path)
    workspace = f"{place}/workspace"
    write_bytes(f"{place}/archive/mended.bmp", plain(1))
    (tmp_path / "link").symlink_to("archive")
    listed = pa.Table.from_batches([piece.images for piece in list_images(f"{place}/archive")]).to_pandas()
    for number, name in enumerate(("link", "archive/../archive", "archive")):
        uri = listed["uri"].str.replace("/archive/", f"/{name}/", regex=False)
        rows = listed.assign(uri=uri, reason="decode_error", detail="an older decoder's words")
        run_id = f"run {number}"
        tables.append(workspace, "quarantine", quarantine_rows(rows, "score", run_id), run_id)
    [row] = in_quarantine(workspace).to_dict("records")
    assert (row["uri"], row["tries"]) == (f"file://{place}/archive/mended.bmp", 3)
    replayable, _, counts = replay(place, tmp_path, "replay-1")
    assert (replayable.pending.images, counts) == (1, Counts(1, 0, 1, 0))
    assert in_quarantine(workspace).empty
