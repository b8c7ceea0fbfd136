"""Tests of skinml/isic_archive: all is fetched once, whatever the archive does, and nothing else is asked."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pytest

from flows.fetch import fetch
from skinml import __version__
from skinml.dataset.metadata import read_metadata
from skinml.errors import RequestError, RunError
from skinml.isic_archive import client as of_client
from skinml.isic_archive.address import check_base, may_ask, next_page
from skinml.isic_archive.client import DELAYS, Client
from skinml.isic_archive.download import Progress, check_folder, download
from skinml.isic_archive.journal import JOURNAL, open_journal
from skinml.isic_archive.pages import find_ham10000
from skinml.requests.fetching import FetchRequest
from tests.conftest import REPOSITORY
from tests.unit.isic_archive.server import (
    Archive,
    Fault,
    as_json,
    hang_up,
    redirect,
    running,
    status,
    truncated,
    with_body,
)

NAMES = [f"ISIC_0000{number:03d}" for number in range(8)]


@pytest.fixture
def archive(jpeg: Callable[..., bytes]) -> Iterator[Archive]:
    with running({name: jpeg(number) for number, name in enumerate(NAMES)}) as served:
        yield served


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_client, "DELAYS", (0.0,) * len(DELAYS))


def run(archive: Archive, folder: Path, limit: int | None = None) -> tuple[Progress, list[float]]:
    """Download without waiting; what came of it, and the waits."""
    waits: list[float] = []
    with Client(check_base(archive.url), 2, waits.append) as client:
        place = check_folder(str(folder))
        collection = find_ham10000(client)
        return download(client, collection, place, 2, limit, lambda _: lambda _: None), waits


def asked_of(archive: Archive, folder: Path, **more: Any) -> FetchRequest:
    return FetchRequest(dataset="ham10000", out=str(folder), url=archive.url, accept_licence=True, **more)


def images_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "images").iterdir())


def test_everything_is_fetched_described_and_cited(archive: Archive, tmp_path: Path) -> None:
    result = fetch(asked_of(archive, tmp_path / "ham"))
    folder = tmp_path / "ham"
    assert (result["images"], result["fetched"], result["there_already"]) == (8, 8, 0)
    assert images_in(folder) == [f"{name}.jpg" for name in NAMES]
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        data = (folder / row["file"]).read_bytes()
        assert data == archive.files[row["image_id"]]
        assert (row["sha256"], int(row["size_bytes"])) == (hashlib.sha256(data).hexdigest(), len(data))
        assert pd.Timestamp(row["fetched_at"]).tzinfo is not None
    assert [row["image_id"] for row in rows] == NAMES
    about = json.loads((folder / "SOURCE.json").read_text(encoding="utf-8"))
    assert (about["images"], about["complete"], about["data_licence"]) == (8, True, "CC BY-NC 4.0")
    assert "10.1038/sdata.2018.161" in about["data_source"]
    for name, digest in about["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "ViDIR" in (folder / "LICENCE.txt").read_text(encoding="utf-8")
    assert {agent for _, agent in archive.asked} == {f"skinml/{__version__} (skinml fetch)"}
    assert not list(folder.glob(".*"))

    archive.asked.clear()
    again = fetch(asked_of(archive, folder))
    assert (again["images"], again["fetched"], again["there_already"]) == (8, 0, 8)
    assert archive.files_asked() == []


def test_prepare_reads_both_forms_of_the_metadata(archive: Archive, tmp_path: Path) -> None:
    fetch(asked_of(archive, tmp_path / "ham"))
    ours = read_metadata([str(tmp_path / "ham" / "HAM10000_metadata.csv")]).rows
    assert list(pd.read_csv(tmp_path / "ham" / "HAM10000_metadata.csv").columns) == [
        *("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
    ]
    theirs = read_metadata([str(tmp_path / "ham" / "isic_metadata.csv")], mapped=["scc=akiec"]).rows
    pd.testing.assert_frame_equal(ours, theirs)
    assert ours["dx"].tolist() == ["nv", "mel", "akiec", "nv", "mel", "akiec", "nv", "mel"]
    assert ours["lesion_id"].nunique() == 4
    assert (ours["age"] == 45).all()
    assert (ours["dx_type"] == "histo").all()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(status(500), id="500"),
        pytest.param(status(503), id="503"),
        pytest.param(truncated, id="truncated"),
        pytest.param(with_body(b"\xff\xd8\xff short"), id="shorter than the archive says"),
        pytest.param(with_body(b"\xff\xd8\xff" * 40_000), id="longer than the archive says"),
        pytest.param(hang_up, id="hang up"),
    ],
)
def test_what_may_pass_is_tried_again(archive: Archive, tmp_path: Path, fault: Fault) -> None:
    archive.fails_once(f"/files/{NAMES[4]}", fault, fault)
    progress, waits = run(archive, tmp_path / "ham")
    assert sorted(progress.fetched) == NAMES
    assert (tmp_path / "ham" / "images" / f"{NAMES[4]}.jpg").read_bytes() == archive.files[NAMES[4]]
    assert len(waits) == 2
    assert all(delay / 2 <= wait <= delay for wait, delay in zip(waits, DELAYS, strict=False))


def test_pages_are_tried_again_too(archive: Archive, tmp_path: Path) -> None:
    archive.fails_once("/images/search/", status(502), truncated, with_body(b'{"results": [{"isic'))
    progress, waits = run(archive, tmp_path / "ham")
    assert sorted(progress.fetched) == NAMES
    assert len(waits) == 3


def test_too_many_requests_waits_as_long_as_it_is_asked_to(archive: Archive, tmp_path: Path) -> None:
    archive.fails_once("/images/search/", status(429, retry_after="17"))
    progress, waits = run(archive, tmp_path / "ham")
    assert sorted(progress.fetched) == NAMES
    assert waits == [17.0]
    archive.fails_once("/images/search/", status(429, retry_after="3600"))
    with pytest.raises(
        RunError, match=r"answers 429, and asks to come again in 3,600 s; run the same command then"
    ):
        run(archive, tmp_path / "ham")


@pytest.mark.usefixtures("no_waits")
def test_one_file_that_cannot_be_had_fails_the_run_and_the_next_run_fetches_only_that(
    archive: Archive, tmp_path: Path
) -> None:
    archive.always[f"/files/{NAMES[2]}"] = status(503)
    with pytest.raises(RunError, match=rf"1 of 8 images could not be fetched \({NAMES[2]}: .*answers 503"):
        fetch(asked_of(archive, tmp_path / "ham"))
    assert len(images_in(tmp_path / "ham")) == 7
    archive.always.clear()
    archive.asked.clear()
    result = fetch(asked_of(archive, tmp_path / "ham"))
    assert (result["images"], result["fetched"], result["there_already"]) == (8, 1, 7)
    assert archive.files_asked() == [NAMES[2]]


@pytest.mark.usefixtures("no_waits")
def test_an_archive_that_is_down_ends_the_run_soon(archive: Archive, tmp_path: Path) -> None:
    archive.always["/files/"] = status(500)
    with pytest.raises(RunError, match="5 images one after the other failed"):
        fetch(asked_of(archive, tmp_path / "ham"))


def test_a_redirect_is_followed_on_the_same_host_alone(archive: Archive, tmp_path: Path) -> None:
    archive.fails_once(f"/files/{NAMES[0]}", redirect(f"/files/{NAMES[0]}?again=1"))
    archive.always[f"/files/{NAMES[1]}"] = redirect("https://elsewhere.example/1.jpg?signature=secret")
    progress, _ = run(archive, tmp_path / "ham")
    assert sorted(progress.fetched) == [name for name in NAMES if name != NAMES[1]]
    said = progress.failed[NAMES[1]]
    assert said == "its file redirects to https://elsewhere.example/1.jpg, another host, which is not asked"


def test_an_address_that_is_no_longer_valid_is_asked_for_again(archive: Archive, tmp_path: Path) -> None:
    archive.fails_once(f"/files/{NAMES[3]}", status(403))
    progress, waits = run(archive, tmp_path / "ham")
    assert sorted(progress.fetched) == NAMES
    assert f"/api/v2/images/{NAMES[3]}/" in [path for path, _ in archive.asked]
    assert waits == []


def repeats(archive: Archive) -> None:
    page = {
        "results": [archive.image(NAMES[0])],
        "count": 8,
        "next": f"{archive.url}images/search/?cursor=bz0x",
    }
    archive.always["/images/search/"] = lambda request: as_json(request, page)


def ends_early(archive: Archive) -> None:
    page = {"results": [archive.image(NAMES[0])], "count": 8, "next": None}
    archive.always["/images/search/"] = lambda request: as_json(request, page)


def leads_elsewhere(archive: Archive) -> None:
    page = {"results": [archive.image(NAMES[0])], "count": 8, "next": "https://elsewhere.example/?cursor=1"}
    archive.always["/images/search/"] = lambda request: as_json(request, page)


def climbs_out(archive: Archive) -> None:
    archive.changes[NAMES[0]] = {"isic_id": "../../evil"}


def other_form(archive: Archive) -> None:
    archive.always["/images/search/"] = lambda request: as_json(request, {"results": [{"name": "a"}]})


def other_licence(archive: Archive) -> None:
    archive.changes[NAMES[0]] = {"copyright_license": "All rights reserved"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (repeats, "its pages repeat themselves"),
        (ends_early, "has named 1 of 8 images of HAM10000"),
        (leads_elsewhere, "its next page is at elsewhere.example, another server"),
        (climbs_out, "names an image '../../evil', not like ISIC_0024306"),
        (other_form, "describes an image in an unknown form"),
        (other_licence, "its licence is 'All rights reserved'; you have accepted CC BY-NC 4.0 alone"),
    ],
)
def test_a_list_that_is_wrong_ends_the_run(
    archive: Archive, tmp_path: Path, spoil: Callable[[Archive], None], said: str
) -> None:
    spoil(archive)
    with pytest.raises(RunError) as raised:
        run(archive, tmp_path / "ham")
    assert said in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ham"]


def test_a_page_of_html_is_no_image(archive: Archive, tmp_path: Path) -> None:
    login = b"<!DOCTYPE html><title>Log in</title>"
    archive.files[NAMES[5]] = login
    progress, _ = run(archive, tmp_path / "ham")
    assert progress.failed == {NAMES[5]: "its file is no image: begins with b'<!DO'"}


def test_the_disk_is_full(archive: Archive, tmp_path: Path) -> None:
    """A limit of file sizes stands for it: the same call of write fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert min(map(len, archive.files.values())) > 1500
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(RunError, match="free space on the disk, and run the same command again"):
            run(archive, tmp_path / "ham")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert images_in(tmp_path / "ham") == []
    progress, _ = run(archive, tmp_path / "ham")
    assert sorted(progress.fetched) == NAMES


def test_a_killed_run_is_continued(archive: Archive, tmp_path: Path) -> None:
    reached, release = Event(), Event()

    def hold(request: BaseHTTPRequestHandler) -> None:
        reached.set()
        release.wait(60)
        request.close_connection = True

    archive.fails_once(f"/files/{NAMES[6]}", hold)
    folder = tmp_path / "ham"
    command = [sys.executable, "-m", "skinml", "fetch", "ham10000", "--out", str(folder), "--accept-licence"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([*command, "--url", archive.url, "--connections", "1"], env=environment) as process:
        try:
            assert reached.wait(60)
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        finally:
            release.set()
            process.kill()
    assert images_in(folder) == [f"{name}.jpg" for name in NAMES[:6]]
    (folder / "images" / f".{NAMES[6]}.jpg.0a1b2c3d").write_bytes(
        b"part"
    )  # as one killed a moment later leaves
    with (folder / JOURNAL).open("a", encoding="utf-8") as journal:
        journal.write('{"image_id": "ISIC_00')

    archive.asked.clear()
    result = fetch(asked_of(archive, folder))
    assert (result["images"], result["fetched"], result["there_already"]) == (8, 2, 6)
    assert archive.files_asked() == NAMES[6:]
    assert images_in(folder) == [f"{name}.jpg" for name in NAMES]


def test_nothing_that_is_there_is_overwritten(archive: Archive, tmp_path: Path) -> None:
    run(archive, tmp_path / "ham")
    damaged, gone = (tmp_path / "ham" / "images" / f"{name}.jpg" for name in NAMES[:2])
    damaged.write_bytes(b"damaged")
    gone.unlink()
    progress, _ = run(archive, tmp_path / "ham")
    assert list(progress.failed) == NAMES[:1]
    assert "has changed since it was fetched; delete it" in progress.failed[NAMES[0]]
    assert damaged.read_bytes() == b"damaged"
    assert gone.read_bytes() == archive.files[NAMES[1]], "a file that was deleted is fetched again"


def test_some_images_can_be_fetched_and_the_rest_later(archive: Archive, tmp_path: Path) -> None:
    some = fetch(asked_of(archive, tmp_path / "ham", limit=4))
    assert some["images"] == 4
    assert json.loads((tmp_path / "ham" / "SOURCE.json").read_text(encoding="utf-8"))["complete"] is False
    assert fetch(asked_of(archive, tmp_path / "ham"))["fetched"] == 4


def test_one_run_at_a_time_works_in_a_folder(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "ham").mkdir()
    with open_journal(tmp_path / "ham"), pytest.raises(RequestError, match="another skinml fetch works there"):
        run(archive, tmp_path / "ham")


def test_wrong_requests_are_refused_and_nothing_is_written(archive: Archive, tmp_path: Path) -> None:
    ham = tmp_path / "ham"
    refused = asked_of(archive, ham).model_copy(update={"accept_licence": False})
    with pytest.raises(RequestError, match=r"CC BY-NC 4\.0.*Cite: Tschandl.*give --accept-licence"):
        fetch(refused)
    with pytest.raises(RequestError, match="is not encrypted"):
        fetch(asked_of(archive, ham).model_copy(update={"url": "http://api.isic-archive.com/api/v2/"}))
    with pytest.raises(RequestError, match="has a user or password"):
        check_base("https://me:secret@archive.example/api/v2/")
    with pytest.raises(RequestError, match="give a folder of this machine"):
        fetch(asked_of(archive, ham).model_copy(update={"out": "s3://bucket/ham"}))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").touch()
    with pytest.raises(RequestError, match="has other files in it"):
        fetch(asked_of(archive, tmp_path / "full"))
    assert not ham.exists()
    assert archive.asked == []


def test_the_archive_cannot_make_us_ask_this_machine() -> None:
    base = "https://api.isic-archive.com/api/v2/"
    for url in (
        "http://files.example/1.jpg",
        "http://127.0.0.1/1",
        "https://localhost/1",
        "file:///etc/passwd",
        "",
    ):
        assert not may_ask(base, url), url
    assert may_ask(base, "https://content.isic-archive.com/1.jpg?Signature=1")
    with pytest.raises(RunError, match="another server"):
        next_page(base, "https://api.isic-archive.com.evil.example/api/v2/images/search/?cursor=1")
