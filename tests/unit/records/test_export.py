"""Tests of skinml/records/export.py: one run's scores as a file, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skinml import DISCLAIMER, tables
from skinml.errors import RequestError, RunError, StorageError
from skinml.records import export_rows
from skinml.records.export import check_target, export_scores
from skinml.records.export_files import as_text
from skinml.records.export_rows import EXPORTED, Choice, check_choice
from skinml.schemas import SCORES
from skinml.storage.objects import exists, names, read_bytes, write_bytes

STARTED = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)
HEALTH = {"model_version": "v1", "health": "drifted", "health_detail": '{"psi": 0.5}'}
IMAGES = ("'quoted", "plain", "=1+1", "+a", "-b", "@c", "\td", "\re", "f=g", "ü ö\n€", "")


def run(run_id: str = "run 1", done: int = 0, status: str = "completed") -> dict[str, Any]:
    return {"run_id": run_id, "flow": "score", "status": status, "started_at": STARTED, "done": done} | HEALTH


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
    assert table.column_names == [*SCORES.names, "health"]
    assert table.drop_columns("health").sort_by("image_id").equals(rows("run 1", *sorted(IMAGES)))
    assert set(table["health"].to_pylist()) == {"drifted"}
    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    told = ("notice", "run_id", "model_version", "health")
    assert [about[key] for key in told] == [DISCLAIMER, "run 1", "v1", "drifted"]
    assert json.loads(about["health_detail"]) == {"psi": 0.5}
    assert [name for name in names(place) if "scores of" in name] == ["scores of a run.PARQUET"]


def test_csv_is_what_a_spreadsheet_can_open_without_running_it(place: str) -> None:
    fill(place)
    target = check_target(f"{place}/scores.csv")
    assert export_scores(place, run(done=len(IMAGES)), target) == len(IMAGES)
    found = list(csv.DictReader(io.StringIO(read_bytes(target).decode(), newline="")))
    assert list(found[0]) == [*SCORES.names, "health"]
    by_uri = {row["uri"]: row for row in found}
    assert set(by_uri) == {f"s3://bucket/{image}.jpg" for image in IMAGES}
    for image in IMAGES:
        row = by_uri[f"s3://bucket/{image}.jpg"]
        assert row["image_id"] == (f"'{image}" if image[:1] in tuple("'=+-@\t\r") else image)

        assert row["last_modified"] == "2025-12-31T23:59:59.123456Z"
        assert float(row["p_mel"]) == 1 / 3
        assert (row["run_date"], row["etag"], row["scored_at"], row["width"]) == (
            "2026-01-31",
            '"e"',
            "",
            "600",
        )

    about = json.loads(read_bytes(f"{target}.json"))
    assert (about["run_id"], about["rows"], about["health"], about["health_detail"]) == (
        *("run 1", len(IMAGES), "drifted"),
        {"psi": 0.5},
    )


@hypothesis.given(hypothesis.strategies.text())
def test_every_text_comes_back_from_a_csv_by_taking_one_quote_off(text: str) -> None:
    [cell] = as_text(pa.table({"text": [text]}))["text"].to_pylist()
    assert cell[:1] not in tuple("=+-@\t\r\n＝＋－＠") or not cell
    assert cell.removeprefix("'") == text


def test_a_mark_at_the_start_tells_excel_that_it_is_utf_8(tmp_path: Path) -> None:
    fill(str(tmp_path))
    target = check_target(f"{tmp_path}/scores.csv")
    export_scores(str(tmp_path), run(done=len(IMAGES)), target, marked=True)
    data = Path(target).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert "ü ö\n€" in {
        row["image_id"] for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    }


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_run_that_scored_nothing_gives_the_header(tmp_path: Path, ending: str) -> None:
    target = check_target(str(tmp_path / f"nothing.{ending}"))
    assert export_scores(str(tmp_path), run("run 3"), target) == 0
    if ending == "csv":
        [header] = csv.reader(io.StringIO(Path(target).read_text(encoding="utf-8")))
        assert header == [*SCORES.names, "health"]
    else:
        assert pq.read_table(target).schema.equals(EXPORTED)


def test_a_file_that_is_not_whole_is_not_there(place: str) -> None:
    fill(place)
    target = check_target(f"{place}/scores.csv")
    before = names(place)
    with pytest.raises(RunError, match="has scored 12 images but 11 rows are in scores"):
        export_scores(place, run(done=12), target)
    assert names(place) == before
    assert export_scores(place, run(done=12, status="failed"), target) == 11, "it counted, then it failed"


def test_what_is_refused(place: str, tmp_path: Path) -> None:
    write_bytes(f"{place}/there.csv", b"precious")
    write_bytes(f"{place}/described.csv.json", b"precious")
    for out, words in (
        (f"{place}/there.csv", "exists already"),
        (f"{place}/described.csv", r"described\.csv\.json, which is to say .* delete it"),
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


def ranked(place: str) -> dict[str, float | None]:
    """A run in three parts; p_malignant by image, with a tie and a missing one."""
    chances = {"a": 0.5, "b": 0.25, "c": None, "d": 1e-07, "e": 0.5, "f": 0.9999999999999999}
    for number, names_ in enumerate(("dc", "eb", "fa")):
        table = rows("run 1", *names_)
        values = pa.array([chances[name] for name in names_], pa.float64())
        table = table.set_column(table.column_names.index("p_malignant"), "p_malignant", values)
        part = tables.write_part(place, "scores", table, f"run 1-{number}", {"run_date": "2026-01-31"})
        tables.publish(place, "scores", [part], f"run 1-{number}")
    return chances


@pytest.mark.parametrize(("top", "piece"), [(None, 16_384), (3, 16_384), (3, 1), (9, 1)])
def test_the_most_suspicious_come_first(
    tmp_path: Path, top: int | None, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_rows, "ROWS_AT_ONCE", piece)
    chances = ranked(str(tmp_path))
    choice = Choice(("image_id", "p_malignant"), "p_malignant", top)
    target = check_target(f"{tmp_path}/worklist.parquet")
    seen: list[int] = []
    written = export_scores(str(tmp_path), run(done=6), target, choice, advance=seen.append)
    assert sum(seen) == 6
    table = pq.read_table(target)
    assert table.column_names == ["image_id", "p_malignant", "model_version", "health"]
    assert table["image_id"].to_pylist() == list("faebdc")[:top], "a tie by uri, a missing one last"
    assert table["p_malignant"].to_pylist() == [chances[name] for name in "faebdc"][:top]
    assert written == table.num_rows


def test_the_top_rows_are_the_likeliest_malignant_unless_another_column_is_named(tmp_path: Path) -> None:
    ranked(str(tmp_path))
    for name, choice in (("f", Choice(top=1)), ("a", Choice(top=1, sort="image_id"))):
        target = check_target(f"{tmp_path}/{name}.csv")
        assert export_scores(str(tmp_path), run(done=6), target, choice) == 1
        [row] = csv.DictReader(io.StringIO(Path(target).read_text(encoding="utf-8"), newline=""))
        assert row["image_id"] == name
        assert row["p_malignant"] in ("0.9999999999999999", "0.5")
    assert json.loads(Path(f"{tmp_path}/f.csv.json").read_text(encoding="utf-8"))["sort"] == "p_malignant"


def test_an_unknown_column_is_refused_with_the_nearest_and_all_that_there_are() -> None:
    for choice, words in (
        (Choice(("image_id", "p_melanoma")), "--columns p_melanoma: no such column; did you mean p_mel"),
        (Choice(sort="p_malign"), "--sort p_malign: no such column; did you mean p_malignant"),
        (Choice(("x",)), "--columns x: no such column; the columns are run_id, run_date, image_id"),
    ):
        with pytest.raises(RequestError, match=words) as refused:
            check_choice(choice)
        assert "sha256, health" in str(refused.value)
    check_choice(Choice(("health", "p_mel"), "health"))
