"""Tests of skinml/tables/compaction.py and skinml/records/upkeep.py: files change, rows never do."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml import tables
from skinml.records import upkeep
from skinml.records.runs import begin
from skinml.records.unpublished import Origin, Record, record_urls, write_record
from skinml.schemas import QUARANTINE, TABLES
from skinml.storage.connection import s3_options
from skinml.storage.objects import create_bytes, exists, names, read_bytes
from skinml.tables import Part
from skinml.tables.compaction import REARRANGED, _packed
from tests.unit.tables.test_tables import broken, live_files, scores, uris

DAYS = (date(2026, 1, 31), date(2026, 2, 1))
RUN = "score-20260131T020000Z-{:06x}"


def nothing(_: int) -> None:
    """Nobody watches the progress."""


def append(workspace: str, *names_of_rows: str) -> None:
    for name in names_of_rows:
        tables.append(workspace, "quarantine", broken(name), f"run {name}")


def compact(workspace: str, name: str = "compact", on_files: Callable[[int], None] = nothing) -> int:
    groups = tables.small_files(workspace, "quarantine")
    return tables.put_together(workspace, "quarantine", groups, name, on_files)


def test_many_small_files_become_one_and_every_row_stays(place: str) -> None:
    append(place, *(str(number) for number in range(12)))
    before = tables.snapshot(place, "quarantine")
    rows = tables.read(place, "quarantine").sort_by("uri")
    seen: list[int] = []

    assert compact(place, on_files=seen.append) == 12
    tables.make_checkpoint(place, "quarantine")

    now = tables.snapshot(place, "quarantine")
    assert (len(before.files), len(now.files), seen) == (12, 1, [12])
    assert tables.read(place, "quarantine").sort_by("uri").equals(rows)
    assert sorted(live_files(place, "quarantine")) == sorted(now.files)
    assert tables.read(place, "quarantine", at=before.version).num_rows == 12, "older versions stay readable"
    assert tables.transactions(place, "quarantine", ["run 0", "run 11", "compact"]) == {
        "run 0",
        "run 11",
        "compact",
    }
    tables.append(place, "quarantine", broken("again"), "run 3")
    assert uris(place) == sorted(str(number) for number in range(12)), "what was published stays published"
    assert compact(place, "compact 2") == 0, "nothing is left to be put together"
    assert tables.version(place, "quarantine") == now.version


def test_the_commit_says_that_no_row_changes(place: str) -> None:
    append(place, "a", "b", "c")
    compact(place)
    log = f"{place}/quarantine/_delta_log"
    actions = [json.loads(line) for line in read_bytes(f"{log}/{names(log)[-1]}").splitlines()]
    changes = [action[kind]["dataChange"] for action in actions for kind in ("add", "remove") if kind in action]
    assert changes == [False] * 4
    [info] = [action["commitInfo"] for action in actions if "commitInfo" in action]
    assert info[REARRANGED] == "compact"


def test_partitions_stay_apart(place: str) -> None:
    for number in range(3):
        for day in DAYS:
            rows = scores(day, f"{day} {number} a", f"{day} {number} b")
            part = tables.write_part(place, "scores", rows, f"{number}-{day}", {"run_date": day.isoformat()})
            tables.publish(place, "scores", [part], f"run {number} {day}")
    rows = tables.read(place, "scores").sort_by("uri")
    groups = tables.small_files(place, "scores")
    assert [len(group) for group in groups] == [3, 3]
    assert tables.put_together(place, "scores", groups, "compact", nothing) == 6
    assert tables.read(place, "scores").sort_by("uri").equals(rows)
    folders = {path.split("/")[0] for path in live_files(place, "scores")}
    assert folders == {f"run_date={day}" for day in DAYS}
    where = pc.field("run_date") == pa.scalar(DAYS[0])
    found = pa.concat_tables(tables.scan(place, "scores", ["uri"], where=where))["uri"].to_pylist()
    assert len(found) == 6
    assert all(uri.startswith(str(DAYS[0])) for uri in found)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40))
def test_files_are_packed_in_order_up_to_the_target(sizes: list[int]) -> None:
    parts = [Part(str(number), size, 1) for number, size in enumerate(sizes)]
    groups = list(_packed(parts, 100))
    assert [part for group in groups for part in group] == parts
    for group in groups:
        assert len(group) == 1 or sum(part.size_bytes for part in group) <= 100
    for group, after in pairwise(groups):
        assert sum(part.size_bytes for part in group) + after[0].size_bytes > 100, "no group ends too early"


def test_large_files_stay_as_they_are(tmp_path: Path) -> None:
    workspace = str(tmp_path)
    append(workspace, "a", "c")
    tables.append(workspace, "quarantine", broken(*(f"{number**9}" for number in range(500))), "large")
    [group] = tables.small_files(workspace, "quarantine", target_bytes=8_000)
    assert [part.name.rpartition("-")[0] for part in group] == ["run a", "run c"]


def test_columns_that_this_skinml_does_not_know_or_that_are_older_survive(tmp_path: Path) -> None:
    workspace = str(tmp_path)
    older = broken("old").drop_columns(["detail"])
    deltalake.write_deltalake(f"{workspace}/quarantine", older)
    append(workspace, "a")
    newer = broken("new").append_column("severity", pa.array([3], pa.int64()))
    deltalake.write_deltalake(f"{workspace}/quarantine", newer, mode="append", schema_mode="merge")
    assert compact(workspace) == 3
    rows = deltalake.DeltaTable(f"{workspace}/quarantine").to_pyarrow_table().sort_by("uri").to_pylist()
    assert [(row["uri"], row["severity"]) for row in rows] == [("a", None), ("new", 3), ("old", None)]
    assert [row["detail"] for row in rows] == ["0 bytes", "0 bytes", None]


# Beside other writers


def test_rows_that_are_appended_meanwhile_stay(place: str) -> None:
    append(place, "a", "b", "c")
    unpublished = tables.write_part(place, "quarantine", broken("later"), "later")
    compact(place, on_files=lambda _: append(place, "meanwhile"))
    assert uris(place) == ["a", "b", "c", "meanwhile"]
    assert len(tables.snapshot(place, "quarantine").files) == 2
    tables.publish(place, "quarantine", [unpublished], "run later")
    assert uris(place) == ["a", "b", "c", "later", "meanwhile"]


def test_two_compactions_at_once_double_nothing(place: str) -> None:
    """As deltalake's own do: 1.6.6 commits the second one on top of the first."""
    append(place, "a", "b", "c")
    inner: list[int] = []
    outer = compact(place, on_files=lambda _: inner.append(compact(place, "another")))
    assert (inner, outer) == ([3], 0)
    assert uris(place) == ["a", "b", "c"]


def test_rows_that_are_replaced_while_their_files_are_put_together_do_not_come_back(place: str) -> None:
    append(place, "a", "b", "c")

    def replace(_: int) -> None:
        tables.replace(place, "quarantine", lambda old: old.filter(pc.equal(old["uri"], "b")), "replace")

    assert compact(place, on_files=replace) == 0
    assert uris(place) == ["b"]


def test_rows_whose_files_are_put_together_while_they_are_replaced_are_not_doubled(place: str) -> None:
    append(place, "a", "b", "c")
    calls: list[int] = []

    def change(old: pa.Table) -> pa.Table:
        calls.append(compact(place))
        return old.filter(pc.not_equal(old["uri"], "a"))

    tables.replace(place, "quarantine", change, "replace")
    assert calls == [3, 0]
    assert uris(place) == ["b", "c"]


def test_what_only_rearranged_the_rows_is_told_from_what_changed_them(place: str) -> None:
    none = tables.snapshot(place, "quarantine")
    append(place, "a", "b")
    before = tables.snapshot(place, "quarantine")
    assert not tables.rearranged_only(place, "quarantine", none, before)
    compact(place)
    compacted = tables.snapshot(place, "quarantine")
    assert compacted.files != before.files
    assert tables.rearranged_only(place, "quarantine", before, compacted)
    append(place, "c")
    assert not tables.rearranged_only(place, "quarantine", before, tables.snapshot(place, "quarantine"))


# What is deleted


def age(place: Path, days: float = 8) -> None:
    """Make all files of the tables older; a removal is as old as the log says, which this changes too."""
    then = time.time() - days * 86_400
    for path in place.rglob("*.parquet"):
        os.utime(path, (then, then))
    for path in place.rglob("_delta_log/*.json"):
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        for line in lines:
            if "remove" in line:
                line["remove"]["deletionTimestamp"] -= int(days * 86_400_000)
        path.write_text("\n".join(json.dumps(line) for line in lines))


def delete_unneeded(workspace: str, hours: int = upkeep.SAFE_HOURS) -> int:
    unneeded = upkeep.find_unneeded(workspace, hours)
    assert set(unneeded) == {*TABLES, upkeep.RECORDS, upkeep.CHECKPOINTS}
    upkeep.delete_unneeded(unneeded, nothing)
    return sum(len(urls) for urls in unneeded.values())


def test_old_files_go_a_week_after_they_were_put_together(tmp_path: Path) -> None:
    workspace = str(tmp_path)
    append(workspace, "a", "b", "c")
    before = tables.version(workspace, "quarantine")
    age(tmp_path)
    compact(workspace)
    assert delete_unneeded(workspace) == 0, "they are old, but were taken away just now"
    assert uris(workspace, at=before) == ["a", "b", "c"]
    age(tmp_path)
    assert delete_unneeded(workspace) == 3
    assert uris(workspace) == ["a", "b", "c"]
    tables.make_checkpoint(workspace, "quarantine")
    assert delete_unneeded(workspace) == 0
    assert len(list((tmp_path / "quarantine").glob("*.parquet"))) == 1


def test_what_dead_runs_left_goes_after_a_week_and_what_a_run_that_goes_on_left_stays(tmp_path: Path) -> None:
    """A backfill of a billion images takes longer than the retention: it still writes parts, so it is alive."""
    workspace = str(tmp_path)
    append(workspace, "published")
    alive, dead, young = (RUN.format(number) for number in (1, 2, 3))
    old = [tables.write_part(workspace, "quarantine", broken(run), f"{run}-00000") for run in (alive, dead)]
    age(tmp_path)
    day = {"run_date": DAYS[0].isoformat()}
    tables.write_part(workspace, "scores", scores(DAYS[0], "x"), f"{alive}-00001", day)
    fresh = tables.write_part(workspace, "quarantine", broken(young), f"{young}-00000")
    tables.publish(
        workspace, "scores", [tables.write_part(workspace, "scores", scores(DAYS[0], "y"), "y", day)], "y"
    )

    assert delete_unneeded(workspace) == 1
    assert not exists(f"{workspace}/quarantine/{old[1].path}")
    tables.publish(workspace, "quarantine", [old[0]], alive)
    tables.publish(workspace, "quarantine", [fresh], young)
    assert uris(workspace) == sorted(["published", alive, young])


def test_records_go_with_the_parts_of_their_run(tmp_path: Path) -> None:
    """A run that began long ago and still writes parts is alive; so is one that has only begun."""
    workspace = str(tmp_path)
    append(workspace, "published")
    dead, alive = (f"score-20260101T000000Z-00000{number}" for number in (1, 2))
    begun = begin("score", {}).run_id
    for run in (dead, alive, begun):
        part = tables.write_part(workspace, "quarantine", broken(run), f"{run}-00000")
        write_record(
            workspace, run, Record("quarantine", part, Origin("score", "cnn", "v1", "fp32", "", "0.1.0"))
        )
    age(tmp_path)
    tables.write_part(workspace, "quarantine", broken(alive), f"{alive}-00001")
    assert delete_unneeded(workspace) == 3, "two parts, of which one has a record still: its run began just now"
    assert [url.split("/")[-2] for url in record_urls(workspace)] == [alive, begun]


def test_files_in_a_bucket_go_too(bucket: str) -> None:
    workspace = f"{bucket}/a workspace"
    append(workspace, "a", "b", "c")
    compact(workspace)
    assert delete_unneeded(workspace) == 0
    assert delete_unneeded(workspace, hours=0) == 3
    assert uris(workspace) == ["a", "b", "c"]
    assert len([name for name in names(f"{workspace}/quarantine") if name.endswith(".parquet")]) == 1
    rows = deltalake.DeltaTable(f"{workspace}/quarantine", storage_options=s3_options()).to_pyarrow_table()
    assert rows.num_rows == 3


def test_samples_that_a_model_was_trained_on_stay(tmp_path: Path) -> None:
    workspace = str(tmp_path)
    samples = TABLES["samples"]
    versions = []
    for name in ("a", "b", "c"):
        rows = pa.Table.from_pylist([{"uri": name}], schema=samples)
        tables.append(workspace, "samples", rows, f"run {name}")
        versions.append(tables.version(workspace, "samples"))
    manifest = {
        "name": "tiny",
        "version": "v1",
        "created_at": "2026-01-01T00:00:00+00:00",
        "run_id": "run",
        "protocol": "grouped",
        "class_order": ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"],
        "preprocessing": {"size": 32},
        "dataset": {"version": versions[1]},
        "parameters": {},
        "libraries": {},
        "files": {},
    }
    for version, dataset in (("v1", {"version": versions[1]}), ("v2", {"version": 999}), ("v3", {})):
        record = json.dumps({**manifest, "version": version, "dataset": dataset})
        assert create_bytes(f"{workspace}/models/tiny/{version}/manifest.json", record.encode())
    assert create_bytes(f"{workspace}/models/tiny/v4/manifest.json", b"{}")  # nobody knows what it needs

    groups = tables.small_files(workspace, "samples")
    tables.put_together(workspace, "samples", groups, "compact", nothing)
    assert delete_unneeded(workspace, hours=0) == 1
    assert tables.read(workspace, "samples", ["uri"], versions[1])["uri"].to_pylist() == ["b", "a"]
    with pytest.raises(Exception, match="run c"):
        tables.read(workspace, "samples", ["uri"], versions[2])


def test_merging_everything_goes_table_by_table(place: str) -> None:
    append(place, "a", "b")
    for name in ("x", "y", "z"):
        tables.append(place, "runs", pa.Table.from_pylist([{"run_id": name}], schema=TABLES["runs"]), name)
    plan = upkeep.plan_merges(place)
    groups = {table: [len(group) for group in groups] for table, groups in plan.items()}
    assert groups == {table: {"quarantine": [2], "runs": [3]}.get(table, []) for table in TABLES}
    upkeep.merge(place, plan, "compact-1", nothing)
    sizes = upkeep.table_sizes(place)
    assert (sizes["quarantine"].files, sizes["runs"].files, sizes["scores"].files) == (1, 1, 0)
    tables.append(
        place, "runs", pa.Table.from_pylist([{"run_id": "compact-1"}], schema=TABLES["runs"]), "compact-1"
    )
    assert tables.read(place, "runs").num_rows == 4, "the run's own row is still to come"
    assert names(f"{place}/quarantine/_delta_log")[-1] == "_last_checkpoint"


def test_a_table_that_is_not_there_is_left_alone(place: str) -> None:
    assert tables.small_files(place, "quarantine") == []
    assert tables.put_together(place, "quarantine", [], "compact", nothing) == 0
    assert tables.unneeded_files(place, "quarantine", 0) == set()
    assert tables.table_size(place, "quarantine").files == 0
    tables.make_checkpoint(place, "quarantine")
    assert names(place) == []
    assert tables.read(place, "quarantine").schema == QUARANTINE
