"""Tests of skinml/report/night/thumbnails.py: pictures in the page, sprites beside it, images that are gone."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from skinml.errors import RunError
from skinml.report.night import thumbnails
from skinml.report.night.thumbnails import (
    HEIGHT,
    WIDTH,
    jobs_of,
    make_thumbnails,
    picture_again,
    run_job,
    sprite_name,
)
from skinml.storage.objects import read_bytes
from skinml.storage.urls import file_uri
from tests.unit.report.night.made_up import jpeg, score_rows


def _rows(folder: Path, count: int) -> tuple[list[bytes], pa.Table]:
    files = [jpeg(number) for number in range(count)]
    for number, data in enumerate(files):
        (folder / f"{number}.jpg").write_bytes(data)
    uris = [file_uri(str(folder / f"{number}.jpg")) for number in range(count)]
    return files, score_rows(
        "r", uris, list(map(str, range(count))), [sha256(one).hexdigest() for one in files], "v"
    )


def _shown(text: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text or ""))).convert("RGB")


def _colour(picture: Image.Image) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.asarray(picture, dtype=np.float64).reshape(-1, 3).mean(axis=0)
    return mean


def test_a_thumbnail_is_the_image_in_its_own_proportions(tmp_path: Path) -> None:
    files, rows = _rows(tmp_path, 3)
    made = make_thumbnails(rows, str(tmp_path), lambda jobs: map(run_job, jobs))
    for text, data in zip(made.in_page, files, strict=True):
        thumbnail = _shown(text)
        assert thumbnail.size == (WIDTH, HEIGHT)
        with Image.open(io.BytesIO(data)) as image:
            assert np.abs(_colour(thumbnail) - _colour(image.convert("RGB"))).max() < 8
    assert made.gone == []


def test_images_that_are_gone_changed_or_broken_have_no_picture(tmp_path: Path) -> None:
    _, rows = _rows(tmp_path, 5)
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "2.jpg").write_bytes(jpeg(99))
    broken = jpeg(3)[:200]
    (tmp_path / "3.jpg").write_bytes(broken)
    digests = rows["sha256"].to_pylist()
    digests[3] = sha256(broken).hexdigest()
    rows = score_rows("r", rows["uri"].to_pylist(), list("01234"), digests, "v")
    made = make_thumbnails(rows, str(tmp_path), lambda jobs: map(run_job, jobs))
    assert made.gone == [1, 2, 3]
    assert [one is None for one in made.in_page] == [False, True, True, True, False]
    assert picture_again(rows.slice(2, 1).to_pylist()[0]) is None


def test_later_rows_go_into_sprites_ten_to_a_line(
    place: str, put: Callable[[str, bytes], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "IN_PAGE", 100)
    monkeypatch.setattr(thumbnails, "HERE", 0)
    files, rows = _rows(tmp_path, 115)
    (tmp_path / "103.jpg").unlink()
    jobs = list(jobs_of(rows, f"{place}/report"))
    assert [job.first for job in jobs] == [0, 100]
    made = make_thumbnails(rows, f"{place}/report", lambda jobs: map(run_job, reversed(jobs)))
    assert len(made.in_page) == 100
    assert made.gone == [103]
    with Image.open(io.BytesIO(read_bytes(f"{place}/report/{sprite_name(114)}"))) as sheet:
        assert sheet.size == (10 * WIDTH, 2 * HEIGHT)
        tile = sheet.convert("RGB").crop((4 * WIDTH + 8, HEIGHT + 8, 5 * WIDTH - 8, 2 * HEIGHT - 8))
    with Image.open(io.BytesIO(files[114])) as image:
        assert np.abs(_colour(tile) - _colour(image.convert("RGB"))).max() < 12


def test_workers_that_fail_cost_the_pictures_and_not_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "HERE", 0)
    _, rows = _rows(tmp_path, 2)

    def fails(_: object) -> list[thumbnails.Done]:
        raise RunError("no workers")

    made = make_thumbnails(rows, str(tmp_path), fails)
    assert made.in_page == [None, None]
    assert made.gone == [0, 1]
    assert made.why == "no workers"
