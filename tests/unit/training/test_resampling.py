"""Tests of skinml/training/resampling.py."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from sklearn.utils import resample

from skinml.errors import RequestError
from skinml.training.resampling import balanced_draw, thesis_resample, thesis_split


def _labels(count: int = 900) -> np.ndarray:
    """Class numbers as unequal as an archive's, every class present."""
    shares = [0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02]
    drawn = np.random.default_rng(5).choice(7, size=count, p=shares)
    return np.concatenate([drawn, np.arange(7)]).astype(np.int64)


def test_thesis_resample_equals_the_thesis_script_on_frames() -> None:
    labels = _labels()
    frame = pd.DataFrame({"label": labels, "row": np.arange(len(labels))})
    script = pd.concat(
        [resample(frame[frame.label == c], replace=True, n_samples=500, random_state=42) for c in range(7)]
    )
    drawn = thesis_resample(labels)
    assert drawn.dtype == np.int64
    assert drawn.tolist() == script["row"].tolist()


def test_thesis_split_equals_train_test_split() -> None:
    x, y = np.arange(3500) * 3, np.arange(3500) % 7
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=42)
    train, test = thesis_split(3500)
    assert (len(train), len(test)) == (2625, 875)
    assert x[train].tolist() == x_train.tolist()
    assert x[test].tolist() == x_test.tolist()
    assert y[train].tolist() == y_train.tolist()
    assert y[test].tolist() == y_test.tolist()


labels_of_all_classes = st.lists(st.integers(0, 6), max_size=60).map(
    lambda drawn: np.array([*range(7), *drawn], dtype=np.int64)
)


@given(labels=labels_of_all_classes, count=st.integers(0, 300), seed=st.integers(0, 2**32 - 1))
def test_balanced_draw_is_balanced_and_wastes_no_image(labels: np.ndarray, count: int, seed: int) -> None:
    drawn = balanced_draw(labels, count, np.random.default_rng(seed))
    assert drawn.dtype == np.int64
    assert len(drawn) == count
    per_class = np.bincount(labels[drawn], minlength=7)
    assert per_class.max() - per_class.min() <= 1
    times = np.bincount(drawn, minlength=len(labels))
    for number in range(7):
        of_class = times[labels == number]
        assert of_class.max() - of_class.min() <= 1
    assert drawn.tolist() == balanced_draw(labels, count, np.random.default_rng(seed)).tolist()


def test_balanced_draw_is_shuffled_and_differs_between_generators() -> None:
    labels = _labels()
    first = balanced_draw(labels, 700, np.random.default_rng(1))
    assert not (np.diff(labels[first]) >= 0).all()
    assert first.tolist() != balanced_draw(labels, 700, np.random.default_rng(2)).tolist()


def test_a_class_without_samples_is_named() -> None:
    labels = np.array([0, 1, 2, 4, 5, 6], dtype=np.int64)
    words = r"no sample of df \(dermatofibroma\) to draw from: .*; prepare images of df lesions"
    with pytest.raises(RequestError, match=words):
        thesis_resample(labels)
    with pytest.raises(RequestError, match=words):
        balanced_draw(labels, 10, np.random.default_rng(0))
