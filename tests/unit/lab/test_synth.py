"""A made-up archive is laid out like HAM10000, the same for the same seed, broken as told, and learnable."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from skinml.errors import RequestError, StorageError
from skinml.lab.synth import Archive, make_archive
from skinml.lab.synth.corrupt import BOMB_EDGE, WAYS
from skinml.lab.synth.patients import HAM10000, image_counts, images_per_lesion, make_up_lesions
from skinml.labels import DIAGNOSES

IMAGES = 260
CORRUPT = 0.1
HEADER = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """One archive that the tests read and none changes; drawn by several processes."""
    return make_archive(tmp_path_factory.mktemp("synth") / "archive", IMAGES, corrupt=CORRUPT, seed=7)


def rows_of(archive: Archive) -> list[dict[str, str]]:
    with archive.metadata.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(archive: Archive) -> dict[str, Path]:
    return {path.name: path for root in archive.roots for path in root.iterdir()}


def broken_by(archive: Archive, way: str) -> list[Path]:
    files = files_of(archive)
    return [files[name] for name, done in archive.corrupted.items() if done == way]


def sound_images(archive: Archive) -> list[dict[str, str]]:
    return [row for row in rows_of(archive) if f"{row['image_id']}.jpg" not in archive.corrupted]


def thumbnails(archive: Archive, rows: list[dict[str, str]], edge: int) -> NDArray[np.float64]:
    """Images as (n, edge, edge, 3), 0 to 1."""
    files = files_of(archive)
    found = []
    for row in rows:
        with Image.open(files[f"{row['image_id']}.jpg"]) as image:
            image.draft("RGB", (edge * 4, edge * 4))
            found.append(np.asarray(image.resize((edge, edge), Image.Resampling.BOX)))
    return np.stack(found) / 255.0


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_layout_is_that_of_ham10000(archive: Archive) -> None:
    folder = archive.metadata.parent
    assert archive.images == IMAGES
    assert {path.name for path in folder.iterdir()} == {
        "HAM10000_images_part_1",
        "HAM10000_images_part_2",
        "HAM10000_metadata.csv",
    }
    assert archive.roots == (folder / "HAM10000_images_part_1", folder / "HAM10000_images_part_2")
    assert [len(list(root.iterdir())) for root in archive.roots] == [IMAGES // 2, IMAGES // 2]
    assert archive.metadata.read_text(encoding="utf-8").splitlines()[0].split(",") == HEADER

    rows = rows_of(archive)
    names = [f"{row['image_id']}.jpg" for row in rows]
    assert sorted(names) == sorted(files_of(archive))  # every file has its row, the broken ones too
    assert len(set(names)) == IMAGES
    for row in rows:
        assert re.fullmatch(r"ISIC_\d{7}", row["image_id"])
        assert re.fullmatch(r"HAM_\d{7}", row["lesion_id"])
        assert re.fullmatch(r"(\d{1,2}\.0)?", row["age"])
        assert row["sex"] in {"male", "female", "unknown"}
        assert row["dataset"] in {"vidir_molemax", "vidir_modern", "rosendahl", "vienna_dias"}
        assert row["dx_type"] in {"histo", "follow_up", "consensus", "confocal"}


def test_sound_files_are_jpegs_of_the_originals_size(archive: Archive) -> None:
    files = files_of(archive)
    sizes = []
    for row in sound_images(archive):
        path = files[f"{row['image_id']}.jpg"]
        sizes.append(path.stat().st_size)
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (600, 450))
            image.draft("RGB", (75, 57))  # an eighth of the size: all bytes are read, few pixels made
            image.load()
    assert 15_000 < np.mean(sizes) < 30_000


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_processes(tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        make_archive(tmp_path / name, 24, corrupt=0.25, seed=3, processes=processes)
    first = bytes_of(tmp_path / "one")
    assert first == bytes_of(tmp_path / "two")
    assert len(first) == 24 + 1


def test_another_seed_gives_other_images_and_other_ids(tmp_path: Path) -> None:
    first, second = (make_archive(tmp_path / str(seed), 7, seed=seed) for seed in (3, 4))
    assert not set(files_of(first)) & set(files_of(second))
    assert not {row["lesion_id"] for row in rows_of(first)} & {row["lesion_id"] for row in rows_of(second)}
    contents = {path.read_bytes() for made in (first, second) for path in files_of(made).values()}
    assert len(contents) == 14


def test_breaking_files_changes_no_other_file(tmp_path: Path) -> None:
    sound = make_archive(tmp_path / "sound", 12, seed=5)
    broken = make_archive(tmp_path / "broken", 12, corrupt=0.5, seed=5)
    before, after = files_of(sound), files_of(broken)
    assert sound.corrupted == {}
    changed = {name for name in before if before[name].read_bytes() != after[name].read_bytes()}
    assert changed == set(broken.corrupted)
    assert sound.metadata.read_bytes() == broken.metadata.read_bytes()


def test_class_shares_are_those_of_ham10000() -> None:
    assert image_counts(10_015) == HAM10000
    assert image_counts(7) == dict.fromkeys(DIAGNOSES, 1)
    for images in range(7, 1_200):
        counts = image_counts(images)
        assert sum(counts.values()) == images
        assert min(counts.values()) >= 1
        assert max(counts, key=lambda dx: counts[dx]) == "nv" or images < 10


def test_the_metadata_has_these_shares(archive: Archive) -> None:
    assert Counter(row["dx"] for row in rows_of(archive)) == image_counts(IMAGES)


@pytest.mark.parametrize("images", [100, 101, 150, 260, 600, 3_000])
def test_every_class_has_six_lesions_from_100_images_on(images: int) -> None:
    for count in image_counts(images).values():
        sizes = images_per_lesion(count)
        assert sum(sizes) == count
        assert len(sizes) >= 6
        assert set(sizes) <= {1, 2, 3}


def test_about_a_quarter_of_the_lesions_has_several_images() -> None:
    lesions = make_up_lesions(10_015, np.random.default_rng(1))
    sizes = Counter(len(lesion.image_ids) for lesion in lesions)
    assert 0.24 < 1 - sizes[1] / len(lesions) < 0.28  # HAM10000: 1,956 of 7,470
    assert sizes[3] > 300
    assert abs(len(lesions) - 7_470) < 30


def test_images_of_one_lesion_share_all_but_their_id_and_their_view(archive: Archive) -> None:
    by_lesion = defaultdict(list)
    for row in rows_of(archive):
        by_lesion[row["lesion_id"]].append(row)
    several = [rows for rows in by_lesion.values() if len(rows) > 1]
    assert len(several) > 20
    for rows in several:
        for column in set(HEADER) - {"image_id"}:
            assert len({row[column] for row in rows}) == 1
    contents = [path.read_bytes() for path in files_of(archive).values() if path.stat().st_size > 15_000]
    repeats = Counter(content for content in contents if not content.startswith(b"\x89PNG"))
    assert max(repeats.values()) == 1  # no photograph is a copy of another


def test_images_of_one_lesion_look_alike(archive: Archive) -> None:
    naevi = [row for row in sound_images(archive) if row["dx"] == "nv"]
    lesions = np.array([row["lesion_id"] for row in naevi])
    middles = thumbnails(archive, naevi, 9)[:, 3:6, 3:6].mean(axis=(1, 2))
    middles /= middles.sum(axis=1, keepdims=True)  # light differs between the views, hue little
    distances = np.linalg.norm(middles[:, None] - middles[None], axis=2)
    same = (lesions[:, None] == lesions[None]) & ~np.eye(len(naevi), dtype=bool)
    other = lesions[:, None] != lesions[None]
    assert np.median(distances[same]) < 0.85 * np.median(distances[other])


def test_some_ages_are_missing_and_some_sexes_unknown(archive: Archive) -> None:
    rows = rows_of(archive)
    assert sum(row["age"] == "" for row in rows) == round(IMAGES * 0.006)
    assert sum(row["sex"] == "unknown" for row in rows) == round(IMAGES * 0.006)
    fifty = [row for lesion in make_up_lesions(50, np.random.default_rng(1)) for row in lesion.rows()]
    assert sum(row[4] == "" for row in fifty) == 1
    assert sum(row[5] == "unknown" for row in fifty) == 1


def test_exactly_as_many_files_are_broken_as_told(archive: Archive) -> None:
    assert archive.corrupt == round(IMAGES * CORRUPT) == 26
    assert len(archive.corrupted) == archive.corrupt
    times = Counter(archive.corrupted.values())
    assert set(times) == set(WAYS)
    assert max(times.values()) - min(times.values()) <= 1


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (0.1, 1), (0.6, 5), (1.0, 8)])
def test_the_count_of_broken_files_is_rounded(tmp_path: Path, fraction: float, count: int) -> None:
    made = make_archive(tmp_path, 8, corrupt=fraction)
    assert (made.corrupt, len(made.corrupted), len(files_of(made))) == (count, count, 8)


def test_empty_files_are_empty(archive: Archive) -> None:
    assert all(path.stat().st_size == 0 for path in broken_by(archive, "empty"))


def test_truncated_files_open_but_do_not_load(archive: Archive) -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    for path in broken_by(archive, "truncated"):
        assert path.stat().st_size > 5_000
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (600, 450))
            with pytest.raises(OSError, match="truncated"):
                image.load()


@pytest.mark.parametrize(("way", "start"), [("html", b"<!DOCTYPE html>"), ("garbage", b"")])
def test_html_and_garbage_are_no_images(archive: Archive, way: str, start: bytes) -> None:
    for path in broken_by(archive, way):
        assert path.read_bytes().startswith(start)
        assert path.stat().st_size > 100
        with pytest.raises(UnidentifiedImageError):
            Image.open(path)


def test_garbage_differs_from_file_to_file(archive: Archive) -> None:
    contents = [path.read_bytes() for path in broken_by(archive, "garbage")]
    assert len(set(contents)) == len(contents) > 1


def test_unsupported_files_are_gifs(archive: Archive) -> None:
    for path in broken_by(archive, "unsupported"):
        with Image.open(path) as image:
            assert image.format == "GIF"
            image.load()


def test_bombs_are_small_sound_files_of_900_million_pixels(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in broken_by(archive, "bomb"):
        assert path.stat().st_size < 150_000
        with pytest.raises(Image.DecompressionBombError):
            Image.open(path)
        with monkeypatch.context() as patch:
            patch.setattr(Image, "MAX_IMAGE_PIXELS", None)
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == ("PNG", "1", (BOMB_EDGE, BOMB_EDGE))
                image.verify()  # the chunks' CRCs; decodes nothing


def test_progress_adds_up(tmp_path: Path) -> None:
    steps: list[int] = []
    make_archive(tmp_path, 24, on_progress=steps.append)
    assert sum(steps) == 24
    assert len(steps) > 1


@pytest.mark.parametrize(
    ("images", "corrupt", "seed", "named"),
    [
        (3, 0.0, 1, "--images 3"),
        (6, 0.0, 1, "--images 6"),
        (10_000_001, 0.0, 1, "--images 10000001"),
        (7, -0.1, 1, "--corrupt -0.1"),
        (7, 1.5, 1, "--corrupt 1.5"),
        (7, float("nan"), 1, "--corrupt nan"),
        (7, 0.0, -1, "--seed -1"),
    ],
)
def test_values_out_of_range_are_refused_and_named(
    tmp_path: Path, images: int, corrupt: float, seed: int, named: str
) -> None:
    with pytest.raises(RequestError, match=named) as refusal:
        make_archive(tmp_path / "out", images, corrupt, seed)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(RequestError, match=re.escape(f"--out {tmp_path}: is not empty")):
        make_archive(tmp_path, 7)
    assert bytes_of(tmp_path) == {"kept.txt": b"mine"}


@pytest.mark.parametrize("below", [False, True])
def test_a_file_in_the_way_is_refused_and_left_alone(tmp_path: Path, below: bool) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    out = file / "archive" if below else file
    with pytest.raises(RequestError, match=re.escape(f"--out {out}: ")):
        make_archive(out, 7)
    assert bytes_of(tmp_path) == {"file": b"mine"}


def test_a_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="--out s3://bucket/archive: is a URL"):
        make_archive("s3://bucket/archive", 7)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert make_archive(str(tmp_path), 7).images == 7


def test_a_disk_that_fails_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        make_archive(tmp_path / "out", 7)


def test_a_linear_model_on_thumbnails_tells_the_classes_apart(archive: Archive) -> None:
    pytest.importorskip("sklearn")  # of the extra `train`
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    rows = sound_images(archive)
    small = thumbnails(archive, rows, 8)
    small = small - small.mean(axis=(0, 1, 2))
    truth = np.array([row["dx"] for row in rows])
    lesions = sorted({row["lesion_id"] for row in rows})  # made up in random order: every other is fair
    held_out = np.array([lesions.index(row["lesion_id"]) % 2 == 1 for row in rows])
    views = [small, small[:, ::-1], small[:, :, ::-1], small[:, ::-1, ::-1]]  # up and down mean nothing
    model = LogisticRegression(C=1.0, max_iter=500, class_weight="balanced")
    model.fit(
        np.concatenate([view[~held_out].reshape(sum(~held_out), -1) for view in views]),
        np.tile(truth[~held_out], len(views)),
    )
    predicted = model.predict(small[held_out].reshape(sum(held_out), -1))
    accuracy = balanced_accuracy_score(truth[held_out], predicted)
    assert accuracy > 0.3, accuracy  # chance is 0.14, and the rarest classes have three lesions to learn from
