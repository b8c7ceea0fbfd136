"""The benchmarks' arithmetic, inputs, peers and document. What anything takes decides no test."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from benchmarks import figures, inputs, markdown, measure, render
from benchmarks.agreement import PixelError, check, psnr
from benchmarks.bench import Result
from benchmarks.inputs import KINDS, Input, difference_hash, make_input
from benchmarks.prepare import failures
from benchmarks.systems import LIMIT, SYSTEMS, US, System, scaled
from tests.conftest import REPOSITORY

RECORDED: Result = json.loads((REPOSITORY / render.RESULTS).read_text(encoding="utf-8"))
DOCUMENT = (REPOSITORY / markdown.DOCUMENT).read_text(encoding="utf-8")
HERE = {"limit", "multiprocessing", "multiprocessing_draft", "full_decode", "thesis"}
"""Systems that need nothing beyond what tests have, and start quickly."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of inputs made from a few made-up photographs, wherever the real ones are."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "REAL", folder / "not there")
        patch.setattr(inputs, "MADE_UP", 8)
        for kind, count in (("q75", 12), ("near_original", 2), ("camera", 1)):
            make_input(KINDS[kind], count, folder)
    return folder


@pytest.fixture(autouse=True)
def _made_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "REAL", cache / "not there")
    monkeypatch.setattr(inputs, "MADE_UP", 8)


@pytest.fixture
def given(cache: Path) -> Input:
    """Twelve images of 600x450."""
    return make_input(KINDS["q75"], 12, cache)


# --- Arithmetic -----------------------------------------------------------------------------------------


def test_the_slope_is_what_one_more_image_costs_and_startup_what_none_costs() -> None:
    small, large = (100, 3.0), (1_100, 5.0)
    assert measure.seconds_per_image(small, large) == pytest.approx(0.002)
    assert measure.startup_seconds(small, large) == pytest.approx(2.8)
    assert measure.rate(0.002) == pytest.approx(500)
    with pytest.raises(ValueError, match="small"):
        measure.seconds_per_image(large, small)


def test_a_slope_that_noise_ate_is_no_rate() -> None:
    assert measure.rate(0.0) is None
    assert measure.rate(-0.001) is None
    assert measure.median([None, 5.0, 7.0]) == 6.0
    assert measure.median([None, None, 5.0]) is None
    assert measure.median([]) is None


@pytest.mark.parametrize("power", [0.5, 1.0, 1.03, 2.0])
def test_the_exponent_of_a_power_of_n_is_that_power(power: float) -> None:
    counts = [1_000, 3_000, 10_000, 50_000]
    assert measure.exponent(counts, [3 + 0.001 * n**power for n in counts]) == pytest.approx(power, abs=0.001)
    assert measure.exponent(counts[:3], [1.0, 2.0, 3.0]) is None


def test_a_system_is_judged_by_the_median_of_its_slopes() -> None:
    record = {"title": "a peer", "images": [100, 300], "seconds": [[1.0, 1.0, 9.0], [2.0, 3.0, 5.0]]}
    found = figures.speed({**record, "psnr_db": 40.0, "error": None})
    assert found.rate == pytest.approx(150)  # 200 a second, 100 a second, and one that noise ate
    assert found.slowest == pytest.approx(100)
    assert found.fastest == pytest.approx(200)
    assert found.startup == pytest.approx(0.5)


def test_a_trial_still_has_two_sizes() -> None:
    for system in SYSTEMS:
        for sizes in system.sizes.values():
            assert sizes == scaled(sizes, 1.0)
            small, large = scaled(sizes, 0.001)
            assert 8 <= small < large


def test_a_program_is_measured_and_one_that_fails_says_why(tmp_path: Path) -> None:
    environment = dict(os.environ)
    good = [sys.executable, "-c", "import time; time.sleep(0.3); print('done')"]
    measured = measure.run(good, environment, tmp_path, tmp_path / "log", memory=True)
    assert measured.stdout == "done\n"
    assert measured.seconds > 0.3
    assert (measured.driver_mb or 0) > 1  # on Linux
    assert measured.worker_mb is None
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.5)'])"
    measured = measure.run([sys.executable, "-c", parent], environment, tmp_path, tmp_path / "log", memory=True)
    assert (measured.worker_mb or 0) > 1
    bad = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(measure.ProgramError, match="no such thing"):
        measure.run(bad, environment, tmp_path, tmp_path / "log")


# --- Inputs ---------------------------------------------------------------------------------------------


def test_inputs_are_the_same_bytes_every_time_and_for_every_number(given: Input, cache: Path) -> None:
    fewer = make_input(KINDS["q75"], 5, cache)
    assert [file.name for file in fewer.files()] == [file.name for file in given.files()][:5]
    photographs = inputs.sources(cache)
    again = cache / "again"
    again.mkdir()
    for number in (0, 4):
        inputs.make_file(KINDS["q75"], photographs, again, number)
    for file in again.iterdir():
        assert file.read_bytes() == (given.images / file.name).read_bytes()


def test_inputs_differ_in_bytes_and_to_the_eye(given: Input) -> None:
    files = given.files()
    assert len({file.read_bytes() for file in files}) == len(files)
    hashes = set()
    for file in files:
        with Image.open(file) as image:
            hashes.add(difference_hash(image))
    assert len(hashes) == len(files)


@pytest.mark.parametrize(
    ("kind", "count", "least", "most"),
    [("q75", 12, 15_000, 35_000), ("near_original", 2, 200_000, 320_000), ("camera", 1, 1_200_000, 5_000_000)],
)
def test_inputs_have_the_size_and_about_the_bytes_that_they_should(
    cache: Path, kind: str, count: int, least: int, most: int
) -> None:
    made = make_input(KINDS[kind], count, cache)
    sizes = [file.stat().st_size for file in made.files()]
    assert least < sum(sizes) / count < most
    for file in made.files():
        height, width, _, subsampling = simplejpeg.decode_jpeg_header(file.read_bytes())
        assert (width, height) == (made.kind.width, made.kind.height)
        assert subsampling == made.kind.subsampling


def test_metadata_has_the_columns_of_ham10000_and_every_image(given: Input) -> None:
    with given.metadata.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == inputs.COLUMNS
    assert [row["image_id"] for row in rows] == [file.stem for file in given.files()]
    assert len({row["lesion_id"] for row in rows}) == 9  # of twelve images


# --- Peers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", [one for one in SYSTEMS if one.name in HERE], ids=lambda one: one.name)
def test_a_peer_gives_all_pixels(system: System, given: Input, tmp_path: Path) -> None:
    out = tmp_path / "pixels.npy"
    measure.run(system.command(given, out, 64), dict(os.environ), REPOSITORY, tmp_path / "log")
    if system.name == LIMIT:
        assert out.read_text(encoding="ascii") == "12"
    else:
        assert check(out, given, 64) > 35


def test_pixels_that_are_missing_or_of_something_else_are_found_out(given: Input, tmp_path: Path) -> None:
    out = tmp_path / "pixels.npy"
    right = np.stack([np.asarray(Image.open(file).resize((64, 64))) for file in given.files()])
    np.save(out, right)
    assert check(out, given, 64) == 99.0
    np.save(out, right[:-1])
    with pytest.raises(PixelError, match="11, 64, 64, 3"):
        check(out, given, 64)
    np.save(out, right[::-1])
    with pytest.raises(PixelError, match="dB"):
        check(out, given, 64)
    assert psnr(right[0], right[0]) == 99.0


def test_every_peer_of_the_table_is_there() -> None:
    modules = {one.module for one in SYSTEMS if one.module} | {"reading_s3fs", "common", "__init__"}
    assert modules == {path.stem for path in (REPOSITORY / "benchmarks" / "peers").glob("*.py")}
    assert {LIMIT, US} <= {one.name for one in SYSTEMS}
    for kind in KINDS:
        assert all(kind in one.sizes for one in SYSTEMS)


# --- The document ---------------------------------------------------------------------------------------


def test_the_document_says_what_was_recorded() -> None:
    assert markdown.put_between(DOCUMENT, "prepare", render.section(RECORDED)) == DOCUMENT
    assert (REPOSITORY / render.PLOT).read_bytes().startswith(b"\x89PNG")


def test_rendering_leaves_the_rest_of_the_document_alone() -> None:
    before = "top\n<!-- prepare -->\nold\n<!-- /prepare -->\n<!-- score -->\nkept\n<!-- /score -->\n"
    after = markdown.put_between(before, "prepare", "new")
    assert after == before.replace("old", "new")
    with pytest.raises(ValueError, match="score"):
        markdown.put_between("no markers", "score", "new")


def test_every_promise_is_shown_and_what_was_not_measured_is_not_kept() -> None:
    promises = figures.targets({})
    assert len(promises) == 14
    assert {one.met for one in promises} == {None}
    for one in promises:
        assert one.promised in DOCUMENT
    assert figures.at_least("x", 2.5, 2.5).met
    assert not figures.at_most("x", 2.5, 2.6, "s").met


def test_a_system_that_failed_is_named_in_table_and_exit_code() -> None:
    record: Result = {
        "title": "a peer",
        "images": [8, 16],
        "seconds": [[], []],
        "psnr_db": None,
        "error": "out of memory",
    }
    entry = {"title": "an input", "bytes": 24_000.0, "systems": {"peer": record}}
    found = {**RECORDED, "peers": {**RECORDED["peers"], "figures": {"q75": entry}}}
    assert failures(found) == ["a peer on an input: out of memory"]
    assert "failed: out of memory" in render.section(found)


def test_a_trial_is_called_one() -> None:
    found = {name: {**part, "scale": 1.0} for name, part in RECORDED.items()}
    assert "not a measurement" not in render.section(found)
    assert re.search(r"\| (yes|\*\*no\*\*) \|", render.section(found))
    found["known"] = {**found["known"], "scale": 0.5}
    assert "not a measurement**: known" in render.section(found)
    assert not re.search(r"\| (yes|\*\*no\*\*) \|", render.section(found)), "no promise is judged by a trial"


def test_the_whole_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / render.RESULTS).parent.mkdir(parents=True)
    (tmp_path / render.RESULTS).write_text(json.dumps(RECORDED), encoding="utf-8")
    render.write(tmp_path)
    first = (tmp_path / markdown.DOCUMENT).read_text(encoding="utf-8")
    render.write(tmp_path)
    assert (tmp_path / markdown.DOCUMENT).read_text(encoding="utf-8") == first
    with Image.open(tmp_path / render.PLOT) as plot:
        assert plot.width > 600


# --- The house ------------------------------------------------------------------------------------------


def test_modules_say_their_job_and_stay_readable() -> None:
    for path in (REPOSITORY / "benchmarks").rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith('"""'), path
        assert len(lines) <= 300, path


def test_nothing_kept_names_a_machine_and_constraints_hold_versions_only() -> None:
    home = re.compile(r"/(?:home|root|Users|tmp|work)/\w")
    for path in (REPOSITORY / render.RESULTS, REPOSITORY / markdown.DOCUMENT):
        assert not home.search(path.read_text(encoding="utf-8")), path
    for line in (REPOSITORY / "benchmarks" / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line), line


def test_the_near_original_input_is_what_originals_are() -> None:
    """Quantisation tables of ones and full chroma, as the files of the ISIC archive have them."""
    kind = KINDS["near_original"]
    assert (kind.quality, kind.subsampling) == (100, "444")
