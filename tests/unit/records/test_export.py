"""Tests of skinml/records/export.py: one run's scores as a file, whole or not at all."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skinml import DISCLAIMER, tables
from skinml.errors import RequestError, RunError, StorageError
from skinml.records.export import check_target, export_scores
from skinml.schemas import SCORES
from skinml.storage.objects import exists, names, read_bytes, write_bytes

STARTED = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)
IMAGES = ("plain", "=1+1", "+a", "-b", "@c", "\td", "\re", "f=g", "ü ö\n€", "")


def run(run_id: str = "run 1", done: int = 0, status: str = "completed") -> dict[str, Any]:
    return {"run_id": run_id, "flow": "score", "status": status, "started_at": STARTED, "done": done}


def rows(run_id: str, *image_ids: str) -> pa.Table:
    made = [
        {
            "run_id": run_id,
            "run_date": date(2026, 1, 31),
            "image_id": image_id,
            "uri": f"s3://bucket/{image_id}.jpg",
            "etag": '"e"',
            "last_modified": datetime(2025, 12, 31, 23, 59, 59, 123456, tzinfo=UTC),
            "p_mel": 1 / 3,
            "flags": "",
            "width": 600,
        }
        for image_id in image_ids
    ]
    return pa.Table.from_pylist(made, schema=SCORES)


def fill(workspace: str) -> None:
    """Two runs in two parts each, which a compaction puts into one file."""
    for run_id in ("run 1", "run 2"):
        for number, images in enumerate((IMAGES[:4], IMAGES[4:])):
            day = {"run_date": "2026-01-31"}
            part = tables.write_part(workspace, "scores", rows(run_id, *images), f"{run_id}-{number}", day)
            tables.publish(workspace, "scores", [part], f"{run_id}-{number}")
    groups = tables.small_files(workspace, "scores")
    tables.put_together(workspace, "scores", groups, "compact", lambda _: None)


def test_parquet_has_every_row_of_the_run_and_says_what_it_may_be_used_for(place: str) -> None:
    fill(place)
    target = check_target(f"{place}/scores of a run.PARQUET")
    assert export_scores(place, run(done=len(IMAGES)), target) == len(IMAGES)
    table = pq.read_table(io.BytesIO(read_bytes(target)))
    assert table.sort_by("image_id").equals(rows("run 1", *sorted(IMAGES)))
    assert table.schema.metadata[b"notice"].decode() == DISCLAIMER
    assert table.schema.metadata[b"run_id"] == b"run 1"
    assert [name for name in names(place) if "scores of" in name] == ["scores of a run.PARQUET"]


def test_csv_is_what_a_spreadsheet_can_open_without_running_it(place: str) -> None:
    fill(place)
    target = check_target(f"{place}/scores.csv")
    assert export_scores(place, run(done=len(IMAGES)), target) == len(IMAGES)
    found = list(csv.DictReader(io.StringIO(read_bytes(target).decode(), newline="")))
    assert list(found[0]) == SCORES.names
    by_uri = {row["uri"]: row for row in found}
    assert set(by_uri) == {f"s3://bucket/{image}.jpg" for image in IMAGES}
    for image in IMAGES:
        row = by_uri[f"s3://bucket/{image}.jpg"]
        assert row["image_id"] == (f"'{image}" if image[:1] in tuple("=+-@\t\r") else image)
        assert row["last_modified"] == "2025-12-31T23:59:59.123456Z"
        assert float(row["p_mel"]) == 1 / 3
        assert (row["run_date"], row["etag"], row["scored_at"], row["width"]) == (
            "2026-01-31",
            '"e"',
            "",
            "600",
        )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_run_that_scored_nothing_gives_the_header(tmp_path: Path, ending: str) -> None:
    target = check_target(str(tmp_path / f"nothing.{ending}"))
    assert export_scores(str(tmp_path), run("run 3"), target) == 0
    if ending == "csv":
        [header] = csv.reader(io.StringIO(Path(target).read_text(encoding="utf-8")))
        assert header == SCORES.names
    else:
        assert pq.read_table(target).schema.equals(SCORES)


def test_a_file_that_is_not_whole_is_not_there(place: str) -> None:
    fill(place)
    target = check_target(f"{place}/scores.csv")
    before = names(place)
    with pytest.raises(RunError, match="has scored 11 images but 10 rows are in scores"):
        export_scores(place, run(done=11), target)
    assert names(place) == before
    assert export_scores(place, run(done=11, status="failed"), target) == 10, "it counted, then it failed"


def test_what_is_refused(place: str, tmp_path: Path) -> None:
    write_bytes(f"{place}/there.csv", b"precious")
    for out, words in (
        (f"{place}/there.csv", "exists already"),
        (f"{place}/scores.txt", r"must end in \.csv or \.parquet"),
        (f"{place}/scores", r"must end in \.csv or \.parquet"),
        (f"{tmp_path}/nowhere/scores.csv", "there is no folder .*nowhere; create it first"),
        ("ftp://host/scores.csv", "ftp://host/scores.csv"),
    ):
        with pytest.raises(RequestError, match=words):
            check_target(out)
    assert read_bytes(f"{place}/there.csv") == b"precious"
    assert not exists(f"{tmp_path}/nowhere")


def test_a_folder_that_goes_away_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = check_target(str(tmp_path / "folder" / "a.csv"))
    (tmp_path / "folder").rmdir()
    with pytest.raises(StorageError, match=r"a\.csv: not found"):
        export_scores(str(tmp_path), run(), target)
