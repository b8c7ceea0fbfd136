"""Tests of skinml/scoring/resume.py and shard_records.py: which rows are taken over, each once."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.layout import unpublished_parts_url
from skinml.records.unpublished import (
    MOST_BYTES,
    Origin,
    Record,
    Table,
    delete_failures,
    delete_records,
    read_records,
    record_urls,
    write_record,
)
from skinml.schemas import LISTING, PROBABILITY_COLUMNS, QUARANTINE, SCORES
from skinml.scoring.ledger import Versions, hash_keys, make_ledger
from skinml.scoring.pending import Window, find_pending
from skinml.scoring.resume import Resumption, resume
from skinml.storage.listing import Listed
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.removal import delete
from skinml.tables import Part, part_url, publish, read_parts, write_part
from tests.effort import examples

Version = tuple[str, str, int]
"""uri, etag, size."""

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORIGIN = Origin("score", "cnn", "v1", "fp32", "00ff", "0.1.0")
SCORED = {
    "run_date": date(2026, 1, 2),
    "image_id": "i",
    "sha256": "00" * 32,
    "model_name": "cnn",
    "model_version": "v1",
    "predicted_dx": "nv",
    **dict.fromkeys(PROBABILITY_COLUMNS, 1 / 7),
}
VERSIONS = st.tuples(st.sampled_from("abcdef"), st.sampled_from("12"), st.sampled_from([1, 2]))
SOME = st.lists(VERSIONS, unique_by=lambda version: version[0], max_size=6)


def columns(versions: list[Version], schema: pa.Schema, **more: object) -> pa.Table:
    rows = [
        dict.fromkeys(schema.names) | {"uri": uri, "etag": etag, "size_bytes": size} | more
        for uri, etag, size in versions
    ]
    return pa.Table.from_pylist(rows, schema)


def leave(
    workspace: str,
    name: str,
    versions: list[Version],
    origin: Origin = ORIGIN,
    table: Table = "scores",
    reason: str = "empty",
) -> Part:
    """What a worker of a run leaves of a shard."""
    if table == "scores":
        rows, partition = columns(versions, SCORES, **SCORED), {"run_date": "2026-01-02"}
    else:
        rows, partition = columns(versions, QUARANTINE, reason=reason), None
    part = write_part(workspace, table, rows, name, partition)
    write_record(workspace, "dead", Record(table, part, origin))
    return part


def find(
    workspace: str, folder: Path, listed: list[Version], known: list[Version], recheck: bool = False
) -> Resumption:
    rows = columns(known, LISTING)
    ledger = make_ledger([Versions(hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())])
    pieces = [Listed(batch) for batch in columns(listed, LISTING).to_batches()]
    pending = find_pending(pieces, ledger, Window(), folder / "pending.parquet", recheck)
    return resume(workspace, ORIGIN, pending, lambda: ledger)


def versions_of(rows: pa.Table) -> list[Version]:
    return list(zip(*(rows[name].to_pylist() for name in ("uri", "etag", "size_bytes")), strict=True))


def adopted(workspace: str, found: Resumption) -> list[Version]:
    return [
        version
        for adoption in found.adoptions
        for version in versions_of(
            read_parts(workspace, adoption.record.table, [adoption.record.part]).filter(pa.array(adoption.kept))
        )
    ]


def left(found: Resumption) -> list[Version]:
    rows = [version for piece in found.left.read(2) for version in versions_of(piece)]
    assert len(rows) == found.left.images
    return rows


A, B, C = ("a", "1", 1), ("b", "1", 1), ("c", "1", 1)


@settings(max_examples=examples(80), derandomize=True, deadline=None)
@given(st.lists(SOME, max_size=4), SOME, st.lists(VERSIONS, max_size=4))
def test_whatever_changed_each_pending_version_is_taken_over_once_or_left(
    shards: list[list[Version]], listed: list[Version], known: list[Version]
) -> None:
    """Between the two listings anything may have happened: other bytes, gone, new, scored."""
    with TemporaryDirectory() as folder:
        for number, versions in enumerate(shards):
            if versions:
                leave(folder, f"dead-{number}", versions)
        found = find(folder, Path(folder), listed, known)
        names = {(uri, etag) for uri, etag, _ in known}
        pending = [version for version in listed if version[:2] not in names]
        done = {version for versions in shards for version in versions}
        assert sorted(adopted(folder, found)) == sorted(set(pending) & done)
        assert left(found) == [version for version in pending if version not in done]
        useless = [set(versions) <= {*pending, *known} for versions in shards if versions]
        assert len(found.spent) == sum(useless)


def test_without_records_nothing_is_written_and_nothing_is_read(tmp_path: Path) -> None:
    found = find(str(tmp_path / "workspace"), tmp_path, [A, B], [])
    assert (found.adoptions, found.spent, found.left.images) == ((), (), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["pending.parquet"]


@pytest.mark.parametrize(
    "change",
    [
        {"flow": "replay"},
        {"model_name": "other"},
        {"model_version": "v2"},
        {"precision": "int8"},
        {"onnx_sha256": "00fe"},
        {"skinml_version": "0.2.0"},
    ],
)
def test_rows_of_another_origin_are_not_taken_over(change: dict[str, str], tmp_path: Path) -> None:
    leave(str(tmp_path), "dead-0", [A], replace(ORIGIN, **change))
    assert find(str(tmp_path), tmp_path, [A], []).adoptions == ()


def test_failures_are_taken_over_unless_they_were_transient(place: str, tmp_path: Path) -> None:
    leave(place, "dead-0", [A], table="quarantine", reason="read_error")
    leave(place, "dead-1", [B, C], table="quarantine")
    leave(place, "dead-2", [C])
    found = find(place, tmp_path, [A, B, C], [])
    assert [(one.record.table, one.record.part.rows) for one in found.adoptions] == [
        ("scores", 1),
        ("quarantine", 2),
    ]
    assert sorted(adopted(place, found)) == [B, C], "the score of C, not its failure"
    assert left(found) == [A]
    assert len(found.spent) == 3


def test_a_recheck_takes_over_new_images_alone(tmp_path: Path) -> None:
    """It has known ones to read, too, and a second row of theirs would be one too many."""
    leave(str(tmp_path), "dead-0", [A, B])
    found = find(str(tmp_path), tmp_path, [A, B, C], [A], recheck=True)
    assert (adopted(str(tmp_path), found), left(found)) == ([B], [A, C])


def test_a_night_leaves_the_records_of_a_backfill(tmp_path: Path) -> None:
    """Images that only an earlier champion has scored are not new, but the backfill can take them over."""
    workspace = str(tmp_path)
    leave(workspace, "dead-0", [A])
    leave(workspace, "dead-1", [B, C])
    leave(workspace, "dead-2", [C])
    rows = columns([A, B], LISTING)
    keys, sizes = hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy()
    ledger = make_ledger([Versions(keys, sizes, np.array([1, 0], np.uint16))])
    for recheck in (False, True):
        pieces = [Listed(batch) for batch in columns([A, B, C], LISTING).to_batches()]
        pending = find_pending(pieces, ledger, Window(), tmp_path / "pending.parquet", recheck)
        found = resume(workspace, ORIGIN, pending, lambda: ledger)
        assert adopted(workspace, found) == [C]
        assert [url.rpartition("/")[2] for url in found.spent] == ["1-scores.json", "2-scores.json"]


def test_records_of_a_run_that_has_committed_are_spent_whatever_they_name(place: str, tmp_path: Path) -> None:
    """Its parts are not even read: it died before it could delete its records, or may not delete."""
    part = leave(place, "dead-0", [A, B])
    leave(place, "dead-1", [C], replace(ORIGIN, model_version="v2"))
    publish(place, "scores", [part], "dead")
    found = find(place, tmp_path, [A, B, C], [])
    assert (found.adoptions, found.left.images, len(found.spent)) == ((), 3, 2)


def cut(workspace: str, part: Part) -> None:
    url = part_url(workspace, "scores", part)
    write_bytes(url, bytes(part.size_bytes))


def lose(workspace: str, part: Part) -> None:
    delete([part_url(workspace, "scores", part)])


def replaced(workspace: str, part: Part) -> None:
    leave(workspace, part.name, [A, B, C])
    write_record(workspace, "dead", Record("scores", part, ORIGIN))


def garble(workspace: str, part: Part) -> None:
    [url] = record_urls(workspace)
    write_bytes(url, b'{"table": "scores"}')


def write_again(workspace: str, part: Part, **values: object) -> None:
    """The part with other values, and a record to go with it."""
    rows = columns([A], SCORES, **{**SCORED, **values})
    part = write_part(workspace, "scores", rows, part.name, part.partition)
    write_record(workspace, "dead", Record("scores", part, ORIGIN))


def keyless(workspace: str, part: Part) -> None:
    write_again(workspace, part, etag=None)


def unscored(workspace: str, part: Part) -> None:
    write_again(workspace, part, p_mel=None)


def of_an_older_skinml(workspace: str, part: Part) -> None:
    """Without the column sha256: what it scored could never be compared."""
    url = part_url(workspace, "scores", part)
    rows = pq.read_table(io.BytesIO(read_bytes(url)), partitioning=None).drop_columns(["sha256"])
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    write_bytes(url, buffer.getvalue())
    write_record(workspace, "dead", Record("scores", replace(part, size_bytes=buffer.tell()), ORIGIN))


def of_another_model(workspace: str, part: Part) -> None:
    write_again(workspace, part, model_version="v2")


def outside(workspace: str, part: Part) -> None:
    """A part that would do, but that is not in the table's folder."""
    write_bytes(f"{workspace}/{part.name}", read_bytes(part_url(workspace, "scores", part)))
    [url] = record_urls(workspace)
    write_bytes(url, read_bytes(url).replace(part.path.encode(), f"x/%2e%2e/../{part.name}".encode()))


def nested(workspace: str, part: Part) -> None:
    _record(workspace, b'{"table": ' * 50_000)


def long(workspace: str, part: Part) -> None:
    [url] = record_urls(workspace)
    _record(workspace, b" " * MOST_BYTES + read_bytes(url))


def twofold(workspace: str, part: Part) -> None:
    [url] = record_urls(workspace)
    _record(workspace, read_bytes(url)[:-1] + b', "table": "quarantine"}')


def _record(workspace: str, content: bytes) -> None:
    [url] = record_urls(workspace)
    write_bytes(url, content)


@pytest.mark.parametrize("damage", [nested, long, twofold])
def test_what_is_no_record_is_said_in_a_line_and_scored_again(
    damage: Callable[[str, Part], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(str(tmp_path), leave(str(tmp_path), "dead-0", [A]))
    assert find(str(tmp_path), tmp_path, [A, B], []).left.images == 2
    [line] = caplog.messages
    assert " is skipped, it is not the record of a part: " in line
    assert "\n" not in line
    assert len(line) < 1000


@pytest.mark.parametrize(
    "damage",
    [cut, lose, replaced, garble, keyless, unscored, of_an_older_skinml, of_another_model, outside],
)
def test_what_cannot_be_read_is_said_in_a_line_and_scored_again(
    damage: Callable[[str, Part], None], place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(place, leave(place, "dead-0", [A]))
    with caplog.at_level(logging.WARNING):
        found = find(place, tmp_path, [A, B], [])
    assert (found.adoptions, found.left.images, found.spent) == ((), 2, ())
    [line] = caplog.messages
    assert " is skipped" in line
    assert "\n" not in line


def test_records_go_with_their_run_and_failures_by_themselves(place: str) -> None:
    leave(place, "dead-0", [A])
    leave(place, "dead-1", [B], table="quarantine")
    write_bytes(f"{unpublished_parts_url(place, 'own')}/.0-scores.json.00ff", b"{")  # of a killed writer
    write_record(place, "own", Record("scores", Part("p/part-own-0.parquet", 1, 1, {"run_date": "d"}), ORIGIN))
    assert len(list(read_records(place))) == 3
    delete_failures(place)
    [spent, half, own] = record_urls(place)
    assert half.endswith(".0-scores.json.00ff")
    assert spent == f"{unpublished_parts_url(place, 'dead')}/0-scores.json"
    assert own == f"{unpublished_parts_url(place, 'own')}/0-scores.json"
    delete_records(place, "own", [])
    assert record_urls(place) == [spent]
    delete_records(place, "own", [spent])
    assert list(read_records(place)) == []


def test_what_was_scored_under_an_older_spelling_is_taken_over(tmp_path: Path) -> None:
    """The archive was given through a link in the night that was interrupted."""
    workspace = str(tmp_path / "workspace")
    (tmp_path / "archive").mkdir()
    (tmp_path / "link").symlink_to("archive")
    leave(workspace, "dead-1", [(f"file://{tmp_path}/link/{name}.jpg", "1", 1) for name in "ab"])
    listed = [(f"file://{tmp_path}/archive/{name}.jpg", "1", 1) for name in "abc"]
    found = find(workspace, tmp_path, listed, [])
    assert left(found) == listed[2:]
    assert len(adopted(workspace, found)) == 2
