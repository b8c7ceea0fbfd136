"""Tests of skinml/tables.py: append once, read, versions; on a folder and on a bucket."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from skinml import tables
from skinml.errors import RequestError, RunError, StorageError
from skinml.schemas import QUARANTINE, SCORES, TABLES
from skinml.storage import connection
from skinml.storage.objects import exists, names, read_bytes, write_bytes
from skinml.storage.removal import delete
from skinml.tables.connection import explained

Put = Callable[[str, bytes], None]


def broken(*uris: str) -> pa.Table:
    """Rows of the quarantine."""
    rows = [
        {
            "run_id": "a run",
            "flow": "score",
            "uri": uri,
            "etag": f"etag of {uri}",
            "size_bytes": len(uri),
            "reason": "empty",
            "detail": "0 bytes",
            "quarantined_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        }
        for uri in uris
    ]
    return pa.Table.from_pylist(rows, schema=QUARANTINE)


def scores(day: date, *uris: str) -> pa.Table:
    rows = [{"run_id": "a run", "run_date": day, "uri": uri, "p_mel": 0.25} for uri in uris]
    return pa.Table.from_pylist(rows, schema=SCORES)


def uris(workspace: str, table: str = "quarantine", at: int | None = None) -> list[str]:
    return sorted(tables.read(workspace, table, ["uri"], at)["uri"].to_pylist())


def live_files(workspace: str, table: str) -> list[str]:
    """The table's files as the Delta protocol has it: its JSON log replayed, with none of our code."""
    live: dict[str, None] = {}
    for name in names(f"{workspace}/{table}/_delta_log"):
        if name.endswith(".json"):
            for line in read_bytes(f"{workspace}/{table}/_delta_log/{name}").splitlines():
                action = json.loads(line)
                if "add" in action:
                    live[unquote(action["add"]["path"])] = None
                elif "remove" in action:
                    live.pop(unquote(action["remove"]["path"]), None)
    return list(live)


# One writer


def test_a_table_that_is_not_there_is_empty(place: str) -> None:
    for name, schema in TABLES.items():
        assert tables.read(place, name).schema == schema
        assert tables.read(place, name).num_rows == 0
        assert tables.version(place, name) is None
    assert tables.read(place, "scores", ["uri", "etag"]).column_names == ["uri", "etag"]
    assert names(place) == [], "reading made something"


def test_parts_are_unseen_until_they_are_published(place: str) -> None:
    part = tables.write_part(place, "quarantine", broken("a", "b"), "run-00000")
    assert exists(f"{place}/quarantine/{part.path}")
    assert uris(place) == []
    assert tables.version(place, "quarantine") is None
    first = tables.publish(place, "quarantine", [part], "run")
    later = tables.write_part(place, "quarantine", broken("c"), "run-00001")
    assert uris(place) == ["a", "b"]
    second = tables.publish(place, "quarantine", [later], "another run")
    assert uris(place) == ["a", "b", "c"]
    assert first is not None
    assert second == first + 1 == tables.version(place, "quarantine")


def test_what_is_read_is_what_was_written(place: str) -> None:
    tables.append(place, "quarantine", broken("ä ö\n€", "", "x" * 3000), "run")
    rows = tables.read(place, "quarantine")
    assert rows.schema == QUARANTINE
    assert rows.sort_by("size_bytes").equals(broken("", "ä ö\n€", "x" * 3000))
    assert tables.read(place, "quarantine", ["etag", "uri"]).column_names == ["etag", "uri"]


def test_all_parts_are_published_in_one_commit(place: str) -> None:
    parts = [tables.write_part(place, "quarantine", broken(str(n)), f"run-{n:05d}") for n in range(5)]
    version = tables.publish(place, "quarantine", parts, "run")
    assert uris(place) == ["0", "1", "2", "3", "4"]
    assert version is not None
    assert uris(place, at=version - 1) == []


def test_a_transaction_adds_once(place: str) -> None:
    parts = [tables.write_part(place, "quarantine", broken("a", "b"), "run-00000")]
    version = tables.publish(place, "quarantine", parts, "run")
    assert tables.publish(place, "quarantine", parts, "run") == version
    other = [tables.write_part(place, "quarantine", broken("c"), "run-00001")]
    assert tables.publish(place, "quarantine", other, "run") == version, "what it published stays"
    assert uris(place) == ["a", "b"]
    tables.append(place, "quarantine", broken("d"), "run 2")
    tables.append(place, "quarantine", broken("d"), "run 2")
    assert uris(place) == ["a", "b", "d"]


def test_a_shard_that_is_done_again_replaces_its_part(place: str) -> None:
    first = tables.write_part(place, "quarantine", broken("a", "b"), "run-00000")
    second = tables.write_part(place, "quarantine", broken("b"), "run-00000")
    assert first.path == second.path
    tables.publish(place, "quarantine", [second], "run")
    assert uris(place) == ["b"]
    assert (second.rows, second.size_bytes) == (1, len(read_bytes(f"{place}/quarantine/{second.path}")))


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_part_that_is_not_there_as_it_was_written_is_not_published(place: str, damage: str) -> None:
    parts = [tables.write_part(place, "quarantine", broken(str(n)), f"run-{n:05d}") for n in range(3)]
    url = f"{place}/quarantine/{parts[1].path}"
    if damage == "missing":
        delete([url])
        found = "the object is missing"
    else:
        write_bytes(url, b"PAR1")
        found = "it has 4"
    size = parts[1].size_bytes
    said = f"{url}: {size} bytes were written but {found}; nothing was committed, run again"
    with pytest.raises(RunError) as failure:
        tables.publish(place, "quarantine", parts, "run")
    assert str(failure.value) == said
    with pytest.raises(RunError) as failure:
        tables.replace(place, "quarantine", lambda rows: rows, "run", lambda _: (parts, "note"))
    assert str(failure.value) == said
    assert uris(place) == []


def test_without_parts_nothing_is_published(place: str) -> None:
    assert tables.publish(place, "quarantine", [], "run") is None
    assert tables.append(place, "quarantine", QUARANTINE.empty_table(), "run") is None
    assert names(place) == []
    version = tables.append(place, "quarantine", broken("a"), "run 2")
    assert tables.publish(place, "quarantine", [], "run 3") == version


def test_scores_are_partitioned_by_the_day(place: str) -> None:
    days = (date(2026, 1, 31), date(2026, 2, 1))
    parts = [
        tables.write_part(
            place, "scores", scores(day, f"{day}-a", f"{day}-b"), "run", {"run_date": day.isoformat()}
        )
        for day in days
    ]
    assert [part.path for part in parts] == [
        "run_date=2026-01-31/part-run.parquet",
        "run_date=2026-02-01/part-run.parquet",
    ]
    tables.publish(place, "scores", parts, "run")
    rows = tables.read(place, "scores")
    assert rows.schema == SCORES
    assert rows.filter(pc.equal(rows["run_date"], days[1]))["uri"].to_pylist() == [
        "2026-02-01-a",
        "2026-02-01-b",
    ]
    assert names(f"{place}/scores") == ["_delta_log", "run_date=2026-01-31", "run_date=2026-02-01"]


def test_columns_may_come_in_any_order_and_others_are_left_out(place: str) -> None:
    rows = broken("a").select(list(reversed(QUARANTINE.names))).append_column("more", [["x"]])
    tables.append(place, "quarantine", rows, "run")
    assert tables.read(place, "quarantine").equals(broken("a"))


def test_a_part_of_an_older_skinml_has_nulls_where_it_has_no_column(tmp_path: Path) -> None:
    """A run that it left unfinished is finished by this one."""
    part = tables.write_part(str(tmp_path), "quarantine", broken("a", "b"), "run")
    path = tmp_path / "quarantine" / part.path
    pq.write_table(pq.read_table(path).drop_columns(["sha256"]), path)
    part = replace(part, size_bytes=path.stat().st_size)
    assert tables.read_parts(str(tmp_path), "quarantine", [part]).schema == QUARANTINE
    [rest] = [tables.keep_rows(str(tmp_path), "quarantine", part, pa.array([True, False]))]
    assert rest is not None
    tables.publish(str(tmp_path), "quarantine", [part, rest], "run")
    rows = tables.read(str(tmp_path), "quarantine").to_pylist()
    assert [(row["uri"], row["sha256"]) for row in rows] == [("a", None), ("b", None), ("a", None)]


def test_a_missing_column_is_refused_before_anything_is_written(place: str) -> None:
    with pytest.raises(KeyError, match="etag"):
        tables.append(place, "quarantine", broken("a").drop_columns("etag"), "run")
    assert names(place) == []


# Replacing


def test_rows_are_replaced_once_and_older_versions_stay_readable(place: str) -> None:
    before = tables.append(place, "quarantine", broken("a", "b"), "run 1")
    for _ in range(2):  # the second time changes nothing
        after = tables.replace(
            place, "quarantine", lambda old: pa.concat_tables([old.slice(1), broken("c", "d")]), "run 2"
        )
        assert uris(place) == ["b", "c", "d"]
        assert after == tables.version(place, "quarantine")
    assert before is not None
    assert after == before + 1
    assert uris(place, at=before) == ["a", "b"]
    assert tables.read(place, "quarantine").schema == QUARANTINE


def test_a_table_that_is_not_there_can_be_replaced(place: str) -> None:
    tables.replace(place, "quarantine", lambda old: pa.concat_tables([old, broken("a")]), "run")
    assert uris(place) == ["a"]


def test_rows_that_come_while_others_are_replaced_stay(place: str) -> None:
    tables.append(place, "quarantine", broken("a", "b"), "run 1")
    calls = []

    def change(old: pa.Table) -> pa.Table:
        calls.append(old["uri"].to_pylist())
        tables.append(place, "quarantine", broken("meanwhile"), "run 2")
        return old.filter(pc.not_equal(old["uri"], "a"))

    tables.replace(place, "quarantine", change, "run 3")
    assert uris(place) == ["b", "meanwhile"]
    assert calls[0] == ["a", "b"]


def test_of_two_that_replace_the_same_rows_the_second_sees_the_first(place: str) -> None:
    tables.append(place, "quarantine", broken("a", "b"), "run 1")

    def change(old: pa.Table) -> pa.Table:
        tables.replace(place, "quarantine", lambda rows: rows.slice(1), "run 2")
        return pa.concat_tables([old, broken("c")])

    tables.replace(place, "quarantine", change, "run 3")
    assert uris(place) == ["b", "c"]


# Several writers at once


def test_the_same_transaction_from_many_threads_lands_once(place: str) -> None:
    """Also while the table itself is being made."""
    parts = [tables.write_part(place, "quarantine", broken("a", "b"), f"run-{n:05d}") for n in range(2)]
    together = threading.Barrier(6)

    def publish(_: int) -> int | None:
        together.wait()
        return tables.publish(place, "quarantine", parts, "run")

    with ThreadPoolExecutor(6) as pool:
        versions = set(pool.map(publish, range(6)))
    assert uris(place) == ["a", "a", "b", "b"]
    assert None not in versions
    assert tables.publish(place, "quarantine", parts, "run") in versions


def test_different_transactions_from_many_threads_all_land(place: str) -> None:
    together = threading.Barrier(6)

    def append(number: int) -> int | None:
        together.wait()
        return tables.append(place, "quarantine", broken(f"uri {number}"), f"run {number}")

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(append, range(6)))
    assert uris(place) == [f"uri {number}" for number in range(6)]
    assert all(version is not None for version in versions)


def append_many(workspace: str, writer: str) -> None:
    for number in range(5):
        tables.append(workspace, "quarantine", broken(f"{writer}-{number}"), f"run {writer}-{number}")


def test_two_processes_at_once_both_land(place: str) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(append_many, place, writer) for writer in ("a", "b")]:
            future.result()
    assert uris(place) == [f"{writer}-{number}" for writer in ("a", "b") for number in range(5)]


# Others read it


def test_a_reader_that_is_not_ours_sees_the_same_rows(place: str, tmp_path: Path) -> None:
    tables.append(place, "quarantine", broken("a", "b"), "run 1")
    tables.replace(place, "quarantine", lambda old: old.slice(1), "run 2")
    tables.append(place, "quarantine", broken("c"), "run 3")
    copies = []
    for number, path in enumerate(live_files(place, "quarantine")):
        copies.append(str(tmp_path / f"{number}.parquet"))
        Path(copies[-1]).write_bytes(read_bytes(f"{place}/quarantine/{path}"))
    found = duckdb.execute(
        "SELECT uri, size_bytes, quarantined_at FROM read_parquet($1) ORDER BY uri", [copies]
    )
    ours = tables.read(place, "quarantine").sort_by("uri")
    columns = [ours[name].to_pylist() for name in ("uri", "size_bytes", "quarantined_at")]
    assert found.fetchall() == list(zip(*columns, strict=True))
    assert uris(place) == ["b", "c"]


def test_a_reader_of_partitions_sees_the_day(tmp_path: Path) -> None:
    workspace, day = str(tmp_path), date(2026, 1, 31)
    part = tables.write_part(workspace, "scores", scores(day, "a", "b"), "run", {"run_date": day.isoformat()})
    tables.publish(workspace, "scores", [part], "run")
    files = [f"{workspace}/scores/{path}" for path in live_files(workspace, "scores")]
    rows = duckdb.execute(
        "SELECT run_date, uri, p_mel FROM read_parquet($1, hive_partitioning = true)", [files]
    )
    assert rows.fetchall() == [(day, "a", 0.25), (day, "b", 0.25)]


# What is wrong


def test_a_damaged_log_is_named_in_one_line(place: str) -> None:
    write_bytes(f"{place}/quarantine/_delta_log/00000000000000000000.json", b"no json")
    for use in (
        lambda: tables.read(place, "quarantine"),
        lambda: tables.append(place, "quarantine", broken("a"), "run"),
    ):
        with pytest.raises(RunError) as error:
            use()
        assert str(error.value).startswith(f"{place}/quarantine: ")
        assert "\n" not in str(error.value)


def test_a_version_that_is_not_there_is_named(place: str) -> None:
    tables.append(place, "quarantine", broken("a"), "run")
    with pytest.raises(RunError, match=f"{place}/quarantine: .*"):
        tables.read(place, "quarantine", at=99)


def test_a_wrong_key_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection.bucket.cache_clear()
    with pytest.raises(RequestError, match=f"{bucket}/w/quarantine: access refused"):
        tables.read(f"{bucket}/w", "quarantine")


@pytest.mark.parametrize("place", ["127.0.0.1:14030/drill", "127.0.0.1:9000/401"])
def test_a_server_that_is_away_is_no_refusal_whatever_digits_its_error_has(place: str) -> None:
    text = f"Generic S3 error: Error performing GET http://{place}/x in 5.403s, after 9 retries - HTTP error"
    with pytest.raises(StorageError, match="Generic S3 error"), explained("s3://drill/w/scores"):
        raise OSError(text)
