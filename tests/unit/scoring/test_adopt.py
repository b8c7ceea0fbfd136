"""Tests of skinml/scoring/adopt.py: rows that are taken over are those of the interrupted run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skinml.monitoring.reference import Usual, describe
from skinml.records.unpublished import read_records
from skinml.scoring.adopt import adopt_jobs, adopt_rows, count_again, run_job
from skinml.scoring.ledger import make_ledger
from skinml.scoring.pending import Window, find_pending
from skinml.scoring.predict import ScoreJob, ShardScored, judge_images, score_shard
from skinml.scoring.resume import resume
from skinml.storage.listing import list_images
from skinml.storage.objects import write_bytes
from skinml.tables import read_parts
from tests.unit.scoring.made_up_images import draw
from tests.unit.scoring.test_predict import DAY, listing_of, part_rows, plain, registered, shard

TONIGHT = date(2026, 3, 4)


def score(place: str, run_id: str, flow: str = "score") -> ShardScored:
    job = ScoreJob(
        3, shard(listing_of(f"{place}/archive")), f"{place}/workspace", registered(place), run_id, DAY
    )
    return score_shard(replace(job, flow=flow))


def take_over(place: str, folder: Path, run_id: str) -> list[ShardScored]:
    """What the next run does with what is recorded."""
    workspace, model = f"{place}/workspace", registered(place)
    pending = find_pending(
        list_images(f"{place}/archive"), make_ledger([]), Window(), folder / "pending.parquet"
    )
    found = resume(workspace, model.origin("score"), pending, lambda: make_ledger([]))
    assert found.left.images == 0
    return [adopt_rows(job) for job in adopt_jobs(found.adoptions, workspace, model, run_id, TONIGHT)]


def test_rows_are_the_same_under_another_run_and_so_again_after_another_crash(
    place: str, tmp_path: Path
) -> None:
    for name, data in {"a": plain(1), "b": b"<html>", "c": plain(3)}.items():
        write_bytes(f"{place}/archive/{name}.bmp", data)
    workspace = f"{place}/workspace"
    first = score(place, "run 1")
    for run_id in ("run 2", "run 3"):  # run 3 finds the records of both and takes each image from one
        scores, failures = take_over(place, tmp_path, run_id)
        assert (scores.scored, scores.replaced, scores.rejected, scores.quarantine) == (2, 0, Counter(), None)
        assert (failures.scored, failures.rejected, failures.scores) == (0, {"not_an_image": 1}, None)
        assert (scores.resumed, failures.resumed) == (2, 1)
        for table, ours, theirs in (
            ("scores", scores.scores, first.scores),
            ("quarantine", failures.quarantine, first.quarantine),
        ):
            rows, before = part_rows(workspace, table, ours), part_rows(workspace, table, theirs)
            assert rows == [row | {"run_id": run_id} for row in before]
        assert scores.scores is not None
        assert scores.scores.partition == {"run_date": TONIGHT.isoformat()}
        records = [record for url, record in read_records(workspace) if f"/{run_id}/" in url]
        assert [record.part for record in records] == [failures.quarantine, scores.scores] or [
            record.part for record in records
        ] == [scores.scores, failures.quarantine]


def test_only_rows_that_hold_are_taken(place: str, tmp_path: Path) -> None:
    for name in "abc":
        write_bytes(f"{place}/archive/{name}.bmp", plain(ord(name)))
    score(place, "run 1")
    write_bytes(f"{place}/archive/b.bmp", plain(99) + b" ")
    workspace, model = f"{place}/workspace", registered(place)
    pending = find_pending(
        list_images(f"{place}/archive"), make_ledger([]), Window(), tmp_path / "pending.parquet"
    )
    found = resume(workspace, model.origin("score"), pending, lambda: make_ledger([]))
    [job] = adopt_jobs(found.adoptions, workspace, model, "run 2", TONIGHT)
    done = run_job(job)
    assert sorted(str(row["image_id"]) for row in part_rows(workspace, "scores", done.scores)) == ["a", "c"]
    assert [row["uri"] for piece in found.left.read(9) for row in piece.to_pylist()] == [
        uri for uri in listing_of(f"{place}/archive")["uri"] if uri.endswith("b.bmp")
    ]
    assert found.spent == (), "the former b may be wanted by nobody, or by a run over another archive"


def test_a_replay_leaves_no_record_of_its_failures(place: str) -> None:
    """It is there to try them again."""
    write_bytes(f"{place}/archive/a.bmp", plain(1))
    write_bytes(f"{place}/archive/b.bmp", b"")
    score(place, "run 1", "replay")
    [(_, record)] = read_records(f"{place}/workspace")
    assert (record.table, record.origin.flow) == ("scores", "replay")


@pytest.fixture
def usual() -> Usual:
    return describe(draw(np.random.default_rng(1), 400))


def test_the_health_is_counted_as_when_the_images_were_scored(place: str, usual: Usual) -> None:
    """From columns of `scores`, as they are after a Parquet file, an unknown distance among them."""
    for seed in range(6):
        write_bytes(f"{place}/archive/{seed}.bmp", plain(seed))
    rows = read_parts(f"{place}/workspace", "scores", [part for part in [score(place, "run 1").scores] if part])
    assert count_again(rows, usual).images == 0, "a network without the second output has no health"
    distance = np.array([1.0, 2.0, np.nan, 4.0, 50.0, 6.0])
    rows = rows.set_column(
        rows.schema.get_field_index("unlike_training"), "unlike_training", pa.array(distance, from_pandas=True)
    )
    frame = rows.to_pandas()
    seen = {
        "probabilities": frame[
            [name for name in frame if name.startswith("p_") and name != "p_malignant"]
        ].to_numpy(),
        "sharpness": frame["sharpness"].to_numpy(),
        "brightness": frame["brightness"].to_numpy(),
        "unlike_training": distance,
    }
    flags, then = judge_images(frame.assign(colour_profile=False), seen, usual)
    rows = rows.set_column(rows.schema.get_field_index("flags"), "flags", pa.array(flags))
    again = count_again(rows, usual)
    assert (again.images, again.flags) == (then.images, then.flags) == (6, again.flags)
    assert again.flags["unlike_training"] == 2
    np.testing.assert_equal(again.counts, then.counts)
    for name, values in then.values.items():
        np.testing.assert_array_equal(again.values[name].smallest, values.smallest)
        np.testing.assert_array_equal(again.values[name].counts, values.counts)
    np.testing.assert_array_equal(again.predicted, then.predicted)
