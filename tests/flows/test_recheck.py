"""Files that were replaced behind their etag, and etags that changed over equal bytes."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import obstore
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from flows.drill import COMMAND
from skinml import tables
from skinml.lab.drill.kills import Scene, one_run
from skinml.lab.drill.places import folder_place
from skinml.lab.drill.plan import Kill, Victim
from skinml.storage.connection import split
from tests.command import CommandLine
from tests.unit.scoring.test_predict import plain

Jpeg = Callable[..., bytes]
Score = Callable[..., dict[str, int]]


@pytest.fixture
def local(trained: Path, tmp_path: Path) -> str:
    """A trained workspace on a folder."""
    return str(shutil.copytree(trained, tmp_path / "workspace"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Six images of one size, which is what makes a replaced one hard to see."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.bmp").write_bytes(plain(number))
    return folder


@pytest.fixture
def score(skinml: CommandLine, archive: Path, shared_workers: None) -> Score:
    """A night over the archive: the counts that are not 0, of all but skipped images."""

    def night(workspace: str, *flags: object) -> dict[str, int]:
        asked = ["--workspace", workspace, "score", "--archive", archive, "--max-quarantined", 1, *flags]
        result = skinml(*asked).result
        assert result["listed"] == result["skipped"] + result["scored"] + result["quarantined"]
        names = ("scored", "quarantined", "rechecked", "changed", "remembered")
        return {name: result[name] for name in names if result[name]}

    return night


def replace(path: Path, data: bytes) -> None:
    """Other bytes under the same size and modification time."""
    status = path.stat()
    assert len(data) == status.st_size
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rows_of(workspace: str, table: str = "scores") -> list[dict[str, object]]:
    found: list[dict[str, object]] = tables.read(workspace, table).to_pylist()
    return found


def is_one_row_each(workspace: str) -> bool:
    keys = [(row["uri"], row["etag"], row["model_version"]) for row in rows_of(workspace)]
    return len(keys) == len(set(keys))


def test_a_replaced_file_is_found_by_a_recheck_and_scored_once(
    workspace: str, archive: Path, score: Score, skinml: CommandLine, tmp_path: Path
) -> None:
    path = archive / "3.bmp"
    assert score(workspace) == {"scored": 6}
    replace(path, plain(77))
    assert score(workspace) == {}, "no listing can tell"
    (archive / "6.bmp").write_bytes(plain(6))
    assert score(workspace, "--recheck") == {"scored": 2, "rechecked": 6, "changed": 1}
    assert score(workspace, "--recheck") == {"rechecked": 7}
    assert score(workspace) == {}
    of_path = [row for row in rows_of(workspace) if row["uri"] == path.as_uri()]
    first, second = sorted(of_path, key=lambda row: str(row["etag"]))
    assert second["etag"] == f"{first['etag']}+sha256:{str(second['sha256'])[:16]}"
    assert first["p_nv"] != second["p_nv"]
    assert is_one_row_each(workspace)

    hashes = {(row["uri"], row["etag"]): row["sha256"] for row in rows_of(workspace)}
    skinml("--workspace", workspace, "compact")
    assert {(row["uri"], row["etag"]): row["sha256"] for row in rows_of(workspace)} == hashes
    out = tmp_path / "night.parquet"
    skinml("--workspace", workspace, "export", "--run", first["run_id"], "--out", out)
    assert len(set(pq.read_table(out)["sha256"].to_pylist()) - {None}) == 6

    replace(path, plain(3))
    assert score(workspace, "--recheck") == {"rechecked": 7}, "these bytes have a row"


def test_touched_files_are_read_once_and_not_scored(local: str, archive: Path, score: Score) -> None:
    assert score(local) == {"scored": 6}
    for number in range(5):
        os.utime(archive / f"{number}.bmp", ns=(0, 10**9 * (number + 1)))
    (archive / "5.bmp").write_bytes(plain(77))
    (archive / "6.bmp").write_bytes(plain(3))
    assert score(local) == {"scored": 2, "remembered": 5}, "another name is another image"
    for number in range(5):  # if they were read again, this would be seen
        replace(archive / f"{number}.bmp", b"x" * len(plain(0)))
    assert score(local) == {}
    assert score(local, "--recheck") == {"quarantined": 5, "rechecked": 7, "changed": 5}
    assert len(rows_of(local, "known_etags")) == 5
    assert len(rows_of(local)) == 8


def test_an_object_that_was_put_again_in_parts_is_not_scored_again(
    bucket: str, trained: Path, tmp_path: Path, skinml: CommandLine, shared_workers: None
) -> None:
    """S3's etag of an upload in parts is another one, as after a move to another bucket's settings."""
    local = str(shutil.copytree(trained, tmp_path / "workspace"))
    store, _ = split(bucket)
    asked = ["--workspace", local, "score", "--archive", bucket]
    obstore.put(store, "a.bmp", plain(1), use_multipart=False)
    before = obstore.head(store, "a.bmp")["e_tag"]
    assert skinml(*asked).result["scored"] == 1
    obstore.put(store, "a.bmp", plain(1), use_multipart=True, chunk_size=5 * 2**20)
    assert obstore.head(store, "a.bmp")["e_tag"] != before
    for remembered in (1, 0):
        result = skinml(*asked).result
        counts = [result[name] for name in ("listed", "skipped", "scored", "remembered")]
        assert counts == [1, 1, 0, remembered]
    result = skinml(*asked, "--recheck").result
    assert (result["rechecked"], result["changed"], result["remembered"]) == (1, 0, 0)


def test_what_is_in_quarantine_is_tried_again_once_its_bytes_have_changed(
    local: str, archive: Path, score: Score, skinml: CommandLine
) -> None:
    mended, hurt = archive / "2.bmp", archive / "4.bmp"
    mended.write_bytes(b"x" * len(plain(2)))
    assert score(local) == {"scored": 5, "quarantined": 1}
    assert score(local, "--recheck") == {"rechecked": 6}
    replace(mended, plain(2))
    replace(hurt, b"y" * len(plain(4)))
    assert score(local) == {}
    assert score(local, "--recheck") == {"scored": 1, "quarantined": 1, "rechecked": 6, "changed": 2}
    assert score(local, "--recheck") == {"rechecked": 6}
    assert score(local) == {}

    def in_quarantine() -> list[str]:
        rows = skinml("--workspace", local, "quarantine", "list", "--images").result["rows"]
        return [row["uri"] for row in rows]

    assert in_quarantine() == [hurt.as_uri()], "the other one has been scored"
    replayed = skinml("--workspace", local, "quarantine", "replay").result
    assert (replayed["replayed"], replayed["scored"], replayed["still_quarantined"]) == (1, 0, 1)
    replace(hurt, plain(99))
    replayed = skinml("--workspace", local, "quarantine", "replay").result
    assert (replayed["replayed"], replayed["scored"], replayed["skipped"]) == (1, 1, 0)
    assert score(local, "--recheck") == {"rechecked": 6}
    assert is_one_row_each(local)


def forget_hashes(workspace: str) -> None:
    """The tables as an older skinml has left them."""
    for table, partitions in (("scores", ["run_date"]), ("quarantine", None)):
        rows = tables.read(workspace, table).drop_columns(["sha256"])
        shutil.rmtree(f"{workspace}/{table}")
        write_deltalake(f"{workspace}/{table}", rows, partition_by=partitions)


def test_older_tables_are_read_and_appended_to_and_their_images_compared_from_then_on(
    local: str, archive: Path, score: Score, skinml: CommandLine
) -> None:
    (archive / "0.bmp").write_bytes(b"")
    assert score(local) == {"scored": 5, "quarantined": 1}
    forget_hashes(local)
    os.utime(archive / "1.bmp", ns=(0, 10**9))
    assert score(local) == {"scored": 1}, "nobody knows its former bytes"
    assert sorted(row["sha256"] is None for row in rows_of(local)) == [False, *[True] * 5]
    assert score(local, "--recheck") == {"rechecked": 6, "remembered": 5}
    replace(archive / "3.bmp", plain(77))
    assert score(local, "--recheck") == {"scored": 1, "rechecked": 6, "changed": 1}
    skinml("--workspace", local, "compact")
    assert score(local, "--recheck") == {"rechecked": 6}
    assert len(rows_of(local)) == 7


def test_what_cannot_be_read_in_a_recheck_is_no_new_version(local: str, archive: Path, score: Score) -> None:
    assert score(local) == {"scored": 6}
    loop = archive / "loop.bmp"
    loop.symlink_to(loop)
    assert score(local) == {"quarantined": 1}
    assert score(local, "--recheck") == {"quarantined": 1, "rechecked": 6}
    assert {row["reason"] for row in rows_of(local, "quarantine")} == {"read_error"}


# Dying


@pytest.fixture
def scene(local: str, archive: Path, tmp_path: Path) -> Scene:
    """Runs as processes of their own."""
    (tmp_path / "logs").mkdir()
    rng = Random(1)  # noqa: S311 - nothing is drawn
    return Scene(folder_place(tmp_path, archive), local, COMMAND, 2, tmp_path / "logs", 0.0, 100, rng)


@pytest.mark.slow
def test_a_run_that_dies_before_it_remembers_costs_reading_again(
    scene: Scene, local: str, archive: Path, score: Score
) -> None:
    assert score(local) == {"scored": 6}
    for number in range(5):
        os.utime(archive / f"{number}.bmp", ns=(0, 10**9))
    (archive / "5.bmp").write_bytes(plain(77))
    assert one_run(scene, "1", Kill(Victim.FLOW, 9)).hit
    assert (len(rows_of(local)), rows_of(local, "known_etags")) == (7, [])
    assert score(local) == {"remembered": 5}
    assert score(local) == {}
    assert len(rows_of(local)) == 7
    finished = [row for row in rows_of(local, "runs") if str(row["error"]).startswith("died after")]
    assert [(row["listed"], row["skipped"], row["done"]) for row in finished] == [(6, 5, 1)]


@pytest.mark.slow
def test_a_recheck_that_dies_is_done_again_without_a_second_row(
    scene: Scene, local: str, archive: Path, score: Score, tmp_path: Path
) -> None:
    assert score(local) == {"scored": 6}
    replace(archive / "3.bmp", plain(77))
    (archive / "6.bmp").write_bytes(plain(6))
    (tmp_path / "recheck.toml").write_text("[score]\nrecheck = true\n")
    recheck = dataclasses.replace(scene, command=[*COMMAND, "--config", str(tmp_path / "recheck.toml")])
    assert one_run(recheck, "1", Kill(Victim.FLOW, 6)).hit
    assert score(local) == {"scored": 1}, "the new image; a usual night reads no others"
    assert score(local, "--recheck") == {"scored": 1, "rechecked": 7, "changed": 1}
    assert score(local, "--recheck") == {"rechecked": 7}
    assert is_one_row_each(local)
    assert len(rows_of(local)) == 8
    assert list(Path(local, "unpublished").rglob("*.json")) == []
