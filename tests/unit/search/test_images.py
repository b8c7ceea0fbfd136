"""Tests of skinml/search/images.py: no test lesion, no lesion on both sides, one draw a seed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skinml.errors import RequestError, RunError
from skinml.labels import DIAGNOSES, encode
from skinml.search.images import Images, draw_images, pack_images, read_images


def _samples(lesions: int = 140) -> pd.DataFrame:
    """Two images a lesion; of df there are four lesions alone, one of them for test, one for validation."""
    rows = []
    for lesion in range(lesions):
        dx = DIAGNOSES[lesion % 7]
        if dx == "df" and lesion >= 28:
            dx = "nv"
        split = ("train", "train", "val", "test")[(lesion // 7) % 4]
        rows += [(f"image{lesion}-{image}", f"lesion{lesion}", dx, split) for image in range(2)]
    samples = pd.DataFrame(rows, columns=["image_id", "lesion_id", "dx", "split"])
    return samples.assign(metadata_row=np.arange(len(samples)), position=np.arange(len(samples)))


def test_only_training_lesions_are_fitted_on_and_only_other_ones_compare() -> None:
    samples = _samples()
    drawn = draw_images(samples, encode(samples["dx"]), 10, seed=3)
    assert set(samples.loc[drawn.train, "split"]) == {"train"}
    assert set(samples.loc[drawn.validation, "split"]) == {"val"}
    assert not set(samples.loc[drawn.train, "lesion_id"]) & set(samples.loc[drawn.validation, "lesion_id"])
    assert samples.loc[drawn.train, "dx"].value_counts().to_dict() == dict.fromkeys(DIAGNOSES, 10)
    assert samples.loc[drawn.validation, "dx"].value_counts().max() == 10
    assert len(set(drawn.validation)) == len(drawn.validation)


def test_of_a_small_class_every_image_is_drawn_before_any_is_drawn_twice() -> None:
    samples = _samples()
    drawn = draw_images(samples, encode(samples["dx"]), 10, seed=3)
    times = samples.loc[drawn.train].query("dx == 'df'")["image_id"].value_counts()
    assert sorted(times) == [2, 2, 3, 3]
    assert drawn.repeated == {"df": 4}


def test_the_draw_is_a_function_of_the_seed() -> None:
    samples = _samples()
    first, again, other = (draw_images(samples, encode(samples["dx"]), 10, seed) for seed in (3, 3, 4))
    assert first.train.tolist() == again.train.tolist()
    assert first.validation.tolist() == again.validation.tolist()
    assert first.train.tolist() != other.train.tolist()


def test_a_class_without_a_training_lesion_is_refused() -> None:
    samples = _samples()
    samples.loc[samples["dx"] == "df", "split"] = "test"
    with pytest.raises(RequestError, match=r"^no lesion of df .* falls into the training split"):
        draw_images(samples, encode(samples["dx"]), 10, seed=3)


def test_images_are_read_as_they_were_packed_and_others_are_refused(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (14, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(14) % 7
    images = Images(pixels[:7], labels[:7], pixels[7:], labels[7:])
    data = pack_images(images)
    url = str(tmp_path / "images.npz")
    Path(url).write_bytes(data)
    found = read_images(url, hashlib.sha256(data).hexdigest())
    assert np.array_equal(found.validation, images.validation)
    assert np.allclose(found.colours[:3], images.train.mean(axis=(0, 1, 2)) / 255, atol=1e-4)
    with pytest.raises(RunError, match="these are not the images that this search drew"):
        read_images(url, "0" * 64)
