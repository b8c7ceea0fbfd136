"""The score flow where something is wrong: each a clear error or a counted outcome, and the tables unharmed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType

from skinml import tables
from skinml.layout import champion_url, model_url
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage import connection
from skinml.storage.urls import image_id
from tests.command import CommandLine
from tests.services.faults import Fault, faulty, some
from tests.services.seaweedfs import ObjectStore

Jpeg = Callable[..., bytes]

pytestmark = pytest.mark.usefixtures("shared_workers")


@pytest.fixture
def local(trained: Path, tmp_path: Path) -> str:
    """A trained workspace on a folder."""
    return str(shutil.copytree(trained, tmp_path / "workspace"))


@pytest.fixture
def archive(tmp_path: Path, jpeg: Jpeg) -> Path:
    """Ten images; image 3 is broken."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.jpg").write_bytes(jpeg(number) if number != 3 else b"")
    return folder


def asked(workspace: str, archive: object, *more: object) -> Sequence[object]:
    return ["--workspace", workspace, "score", "--archive", archive, *more]


def everything(workspace: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(workspace).rglob("*") if path.is_file()}


def scored(workspace: str) -> list[str]:
    return sorted(tables.read(workspace, "scores", ["image_id"])["image_id"].to_pylist())


def last_run(workspace: str) -> dict[str, object]:
    rows: list[dict[str, object]] = tables.read(workspace, "runs").sort_by("started_at").to_pylist()
    return rows[-1]


# Too many bad images


def test_a_night_of_too_many_bad_images_fails_before_it_commits(
    local: str, archive: Path, skinml: CommandLine
) -> None:
    for number in (4, 5):
        (archive / f"{number}.jpg").write_bytes(b"<html>")
    answer = skinml(*asked(local, archive), expect=1)
    row = last_run(local)
    report = Path(local, "reports", str(row["run_id"]), "quarantined.csv")
    assert (
        "3 of 10 new images (30%) cannot be used (2 not_an_image, 1 empty), more than --max-quarantined 20%: "
        f"nothing was committed; {report} lists them; repair the archive, or allow more"
    ) in answer.stderr
    assert len(report.read_text().splitlines()) == 1 + 3
    assert (row["status"], row["listed"]) == ("failed", 10)
    assert (tables.version(local, "scores"), tables.version(local, "quarantine")) == (None, None)

    (archive / "5.jpg").write_bytes((archive / "6.jpg").read_bytes())
    assert skinml(*asked(local, archive)).result["quarantined"] == 2, "20 % is not more than 20 %"


@pytest.mark.parametrize("most", ["0.3", "30%"])
def test_more_bad_images_can_be_allowed(most: str, local: str, archive: Path, skinml: CommandLine) -> None:
    for number in (4, 5):
        (archive / f"{number}.jpg").write_bytes(b"<html>")
    result = skinml(*asked(local, archive, "--max-quarantined", most)).result
    assert (result["scored"], result["quarantined"]) == (7, 3)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-quarantined", "1.1"], "--max-quarantined '1.1': "),
        (["--max-quarantined", "x%"], "--max-quarantined 'x%': "),
        (["--since", "yesterday"], "--since 'yesterday': "),
        (
            ["--since", "2026-11-02", "--until", "2026-11-01"],
            "--since 2026-11-02T00:00:00Z is not before --until",
        ),
        (["--limit", "0"], "--limit '0': "),
        (["--precision", "fp64"], "--precision 'fp64': "),
    ],
)
def test_what_cannot_be_asked_is_refused(
    flags: list[str], said: str, local: str, archive: Path, skinml: CommandLine
) -> None:
    before = everything(local)
    assert said in skinml(*asked(local, archive, *flags), expect=2).stderr
    assert everything(local) == before


# Part of an archive


def test_a_backfill_goes_by_time_and_in_steps(local: str, archive: Path, skinml: CommandLine) -> None:
    for number in range(10):
        moment = datetime(2026, 11, 1 + number, 12, tzinfo=UTC).timestamp()
        os.utime(archive / f"{number}.jpg", (moment, moment))
    window = ("--since", "2026-11-03", "--until", "2026-11-08T12:00:00Z", "--max-quarantined", "1")
    first = skinml(*asked(local, archive, *window, "--limit", 2)).result
    assert (first["listed"], first["skipped"], first["scored"] + first["quarantined"]) == (10, 8, 2)
    assert (first["outside_window"], first["beyond_limit"]) == (5, 3)
    second = skinml(*asked(local, archive, *window)).result
    assert (second["skipped"], second["scored"] + second["quarantined"]) == (7, 3)
    assert scored(local) == ["2", "4", "5", "6"], "3 is broken, the eighth at noon is too late"
    third = skinml(*asked(local, archive)).result
    assert (third["scored"], third["outside_window"], third["beyond_limit"]) == (5, 0, 0)
    assert scored(local) == [str(number) for number in range(10) if number != 3]


# The model


def test_a_champion_that_is_not_there_is_refused(local: str, archive: Path, skinml: CommandLine) -> None:
    champion = Path(champion_url(local))
    there = json.loads(champion.read_text())["model_version"]
    champion.write_text(json.dumps({"model_name": "thesis-cnn", "model_version": "20200101T000000Z-aaaaaa"}))
    before = everything(local)
    answer = skinml(*asked(local, archive), expect=2)
    assert "20200101T000000Z-aaaaaa: no such version" in answer.stderr
    assert there in answer.stderr
    assert everything(local) == before


def rewrite(workspace: str, change: Callable[[dict[str, Any]], object], known: bool = True) -> Path:
    """Change the champion's manifest; `known`: its record has the new hash."""
    champion = Path(champion_url(workspace))
    record = json.loads(champion.read_text())
    manifest = Path(model_url(workspace, record["model_name"], record["model_version"]), "manifest.json")
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))
    if known:
        record["manifest_sha256"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
        champion.write_text(json.dumps(record))
    return manifest


def test_a_model_of_another_class_order_is_refused(local: str, archive: Path, skinml: CommandLine) -> None:
    rewrite(local, lambda content: content["class_order"].reverse())
    before = everything(local)
    assert "class order vasc, nv, mel" in skinml(*asked(local, archive), expect=2).stderr
    assert everything(local) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content["preprocessing"].update(size=-1), "preprocessing {'size': -1"),
        (lambda content: content["files"]["model.onnx"].update(size_bytes=-1), "files.model.onnx.size_bytes: "),
        (
            lambda content: content["files"]["model.onnx"].update(size_bytes=7),
            "the limit is 7",
        ),
        (
            lambda content: content["precisions"]["fp32"].update(file="../../../../elsewhere/model.onnx"),
            "'../../../../elsewhere/model.onnx' is not the path of a file inside the bundle",
        ),
        (
            lambda content: content.update(created_at="x" * 5 * 2**20),
            "the limit is 4,194,304",
        ),
    ],
    ids=["no size", "no bytes", "other bytes", "a file elsewhere", "five megabytes"],
)
def test_a_manifest_that_cannot_be_is_refused(
    change: Callable[[dict[str, Any]], object], said: str, local: str, archive: Path, skinml: CommandLine
) -> None:
    rewrite(local, change)
    before = everything(local)
    assert said in skinml(*asked(local, archive), expect=2).stderr
    assert everything(local) == before


def test_a_manifest_that_was_changed_behind_the_champions_back_is_refused(
    local: str, archive: Path, skinml: CommandLine
) -> None:
    manifest = rewrite(local, lambda content: content["dataset"].update(version=7), known=False)
    before = everything(local)
    answer = skinml(*asked(local, archive), expect=2)
    assert f"{manifest}: SHA-256 " in answer.stderr
    assert "restore it, or score with another --model" in answer.stderr
    assert everything(local) == before


def test_a_champion_outside_the_workspace_is_refused(local: str, archive: Path, skinml: CommandLine) -> None:
    """A whole model lies there, and would score."""
    champion = Path(champion_url(local))
    record = json.loads(champion.read_text())
    shutil.copytree(Path(local, "models", record["model_name"]), Path(local).parent / "elsewhere")
    champion.write_text(json.dumps({**record, "model_name": "../../elsewhere"}))
    before = everything(local)
    assert "'../../elsewhere' is not a name" in skinml(*asked(local, archive), expect=2).stderr
    assert everything(local) == before


# The tables


def test_a_table_with_columns_of_a_newer_skinml_is_added_to(
    local: str, archive: Path, skinml: CommandLine
) -> None:
    skinml(*asked(local, archive, "--limit", 5))
    DeltaTable(f"{local}/scores").alter.add_columns([Field("of_tomorrow", PrimitiveType("string"))])
    skinml(*asked(local, archive))
    rows = DeltaTable(f"{local}/scores").to_pyarrow_table()
    assert rows.num_rows == 9
    assert rows["of_tomorrow"].null_count == 9


def test_a_table_of_an_older_skinml_gets_the_columns_that_it_lacks(
    local: str, archive: Path, skinml: CommandLine
) -> None:
    older = [name for name in tables.read(local, "scores").schema.names if name not in ("precision", "width")]
    schema = pa.schema([tables.read(local, "scores").schema.field(name) for name in older])
    DeltaTable.create(f"{local}/scores", schema=schema, partition_by=["run_date"])
    skinml(*asked(local, archive))
    assert set(tables.read(local, "scores")["precision"].to_pylist()) == {"fp32"}
    assert skinml(*asked(local, archive)).result["scored"] == 0


def test_a_table_whose_columns_are_other_ones_is_refused(
    local: str, archive: Path, skinml: CommandLine
) -> None:
    schema = tables.read(local, "scores").schema
    position = schema.get_field_index("confidence")
    DeltaTable.create(f"{local}/scores", schema=schema.set(position, pa.field("confidence", pa.string())))
    before = everything(local)
    answer = skinml(*asked(local, archive), expect=2)
    assert f"{local}/scores: column confidence has type string, this skinml expects double" in answer.stderr
    assert everything(local) == before


def test_an_etag_that_comes_back_with_another_size_is_said(
    local: str, archive: Path, skinml: CommandLine, jpeg: Jpeg
) -> None:
    """As if storage had given one etag to two contents: the row in the table has another size."""
    skinml(*asked(local, archive))
    rows = tables.read(local, "scores").to_pandas()
    rows.loc[rows["image_id"] == "4", "size_bytes"] += 1
    changed = pa.Table.from_pandas(rows, preserve_index=False)
    tables.replace(local, "scores", lambda _: changed.cast(tables.read(local, "scores").schema), "tampered")
    answer = skinml(*asked(local, archive, "--max-quarantined", 1))
    assert (answer.result["scored"], answer.result["reasons"]) == (0, {"duplicate_id": 1})
    assert f"{(archive / '4.jpg').as_uri()} (etag" in answer.stderr
    assert "storage has used the etag twice" in answer.stderr
    again = skinml(*asked(local, archive)).result
    assert (again["skipped"], again["quarantined"]) == (10, 0), "it is said once"
    assert scored(local) == [str(number) for number in range(10) if number != 3]


# Storage


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_and_leaves_no_table_half_written(
    small_disk: Path, trained: Path, archive: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.stage.RETRY_DELAYS", (0.0,))
    monkeypatch.setattr("skinml.storage.retry.DELAYS", (0.0,))
    workspace = small_disk / "workspace"
    workspace.mkdir()
    (workspace / "models").symlink_to(trained / "models")
    fill = small_disk / "fill"
    with fill.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)) == 4096:  # in the end it writes less, or nothing
            pass
    answer = skinml(*asked(str(workspace), archive), expect=1)
    assert "No space left on device" in answer.stderr
    fill.unlink()
    assert skinml(*asked(str(workspace), archive)).result["scored"] == 9
    assert scored(str(workspace)) == [str(number) for number in range(10) if number != 3]


@pytest.mark.drill  # two nights with workers of their own; test_prepare.py has the same for prepare
def test_a_server_that_fails_at_one_request_in_twenty_gives_the_same_table(
    opened: ObjectStore, trained: Path, jpeg: Jpeg, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKINML_CLUSTER")  # its workers know the server itself, not the proxy
    files, bucket = opened.files(), "score-behind-faults"  # always of this name: seeds draw by names
    files.mkdir(bucket)
    files.pipe({f"{bucket}/archive/{number:03}.jpg": jpeg(number) for number in range(90)})
    found = {}
    quick = [Fault.ERROR_500, Fault.ERROR_503, Fault.RESET]
    kinds = [*quick * 6, Fault.STALL]  # which costs 10 s of patience
    for name in ("undisturbed", "disturbed"):
        files.put(str(trained), f"{bucket}/{name}", recursive=True)
    for name, fraction in {"undisturbed": 0.0, "disturbed": 0.05}.items():
        with faulty(opened.endpoint, some(fraction, kinds, seed=5)) as proxy, monkeypatch.context() as patched:
            patched.setenv("AWS_ENDPOINT_URL", proxy.url)
            connection.bucket.cache_clear()
            connection.file_system.cache_clear()
            workspace = f"s3://{bucket}/{name}"
            result = skinml(*asked(workspace, f"s3://{bucket}/archive")).result
            assert (result["scored"], result["quarantined"]) == (90, 0)
            rows = tables.read(workspace, "scores").to_pandas()
        found[name] = rows.assign(image_id=rows["uri"].map(image_id)).sort_values("image_id")
        assert (sum(proxy.faults.values()) > 3) == (name == "disturbed")
    columns = ["image_id", "etag", "predicted_dx", *PROBABILITY_COLUMNS]
    same = [found[name][columns].to_numpy().tolist() for name in found]
    assert same[0] == same[1]
