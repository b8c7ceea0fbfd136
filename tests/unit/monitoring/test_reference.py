"""Tests of skinml/monitoring/reference.py."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.errors import RequestError
from skinml.monitoring.reference import (
    MEASURES,
    count_bins,
    describe,
    distribution,
    gather_measures,
    make_reference,
    parse_reference,
)
from tests.unit.scoring.made_up_images import draw

IMAGES = draw(np.random.default_rng(0), 1500)


def _written() -> dict[str, Any]:
    made = make_reference({"fp32": IMAGES, "int8": IMAGES}, held_out=True)
    parsed: dict[str, Any] = json.loads(made.model_dump_json())
    return parsed


def test_measures_come_from_pixels_size_and_network() -> None:
    measured = gather_measures(
        brightness=np.array([0.25, 0.5], np.float32),
        sharpness=np.array([10.0, 20.0]),
        width=np.array([600, 1024], np.int32),
        height=np.array([450, 768], np.int32),
        probabilities=np.array([[0.1, 0.9, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.6, 0.4]]),
        unlike_training=np.array([3.0, 4.0], np.float32),
    )
    assert measured.megapixels.tolist() == [0.27, 0.786432]
    assert measured.confidence.tolist() == [0.9, 0.6]
    assert measured.predicted.tolist() == [1, 5]
    assert all(getattr(measured, name).dtype == np.float64 for name in MEASURES)


def test_no_image_has_no_measures() -> None:
    none = np.zeros(0)
    measured = gather_measures(
        brightness=none, sharpness=none, width=none.astype(int), height=none.astype(int),
        probabilities=np.zeros((0, 7)), unlike_training=none,
    )  # fmt: skip
    assert all(len(values) == 0 for values in measured)


def test_what_is_written_is_read() -> None:
    made = make_reference({"fp32": IMAGES, "int8": IMAGES}, held_out=True)
    read = parse_reference(made.model_dump_json().encode(), "v1")
    assert read == made
    usual = read.of("int8", "v1")
    assert usual.images == 1500
    assert sum(usual.predicted) == 1500
    assert pickle.loads(pickle.dumps(usual)) == usual  # noqa: S301 - our own
    assert usual.measures["brightness"].mean == IMAGES.brightness.mean()
    assert usual.measures["brightness"].median in IMAGES.brightness
    assert usual.measures["brightness"].middle() == pytest.approx(np.median(IMAGES.brightness), abs=0.001)
    counts = usual.measures["sharpness"].counts
    assert counts == (15, 135, *[150] * 8, 135, 15)  # deciles, and the outermost hundredths


def test_thresholds_flag_their_fraction_of_the_held_out_images() -> None:
    limits = describe(IMAGES).thresholds
    assert (IMAGES.unlike_training > limits.unlike_training).sum() == 14  # 1 % of 1500, not more
    assert (IMAGES.confidence < limits.low_confidence).sum() == 74  # 5 %
    assert (IMAGES.sharpness < limits.blurred).sum() == 7  # 0.5 %
    assert (IMAGES.brightness < limits.dark).sum() == (IMAGES.brightness > limits.overexposed).sum() == 7


@pytest.mark.parametrize("images", [1, 2, 42])
def test_few_images_make_a_reference_too(images: int) -> None:
    few = draw(np.random.default_rng(1), images)
    usual = describe(few)
    assert usual.images == images
    assert not (few.unlike_training > usual.thresholds.unlike_training).any()
    assert not (few.brightness < usual.thresholds.dark).any()
    assert (
        parse_reference(make_reference({"fp32": few}, False).model_dump_json().encode(), "v").held_out is False
    )


def test_a_constant_measure_has_bins_for_less_and_more() -> None:
    constant = distribution(np.full(500, 0.27))
    assert constant.counts == (0, 500, 0)
    assert count_bins(constant.edges, np.array([0.1, 0.27, 0.27, 0.5])).tolist() == [1, 2, 1]


def test_ties_move_edges_together() -> None:
    values = np.repeat([0.2, 0.3, 0.5], [600, 300, 100])
    tied = distribution(values)
    assert sum(tied.counts) == 1000
    assert sorted(count for count in tied.counts if count) == [100, 300, 600]
    assert tied.counts[0] == 0  # what is smaller than all of them would be seen


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=300), st.lists(st.floats(), max_size=50))
def test_any_values_have_a_distribution_and_fall_into_its_bins(values: list[float], later: list[float]) -> None:
    found = distribution(np.array(values))
    assert sum(found.counts) == len(values)
    assert list(found.edges) == sorted(set(found.edges))
    assert count_bins(found.edges, np.array(later)).sum() == len(later)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.pop("precisions"), "precisions: Field required"),
        (lambda file: file["precisions"]["fp32"]["predicted"].pop(), "precisions.fp32.predicted: Tuple should"),
        (
            lambda file: file["precisions"]["fp32"]["measures"].pop("sharpness"),
            "the measure sharpness is missing",
        ),
        (
            lambda file: file["precisions"]["int8"]["measures"]["brightness"]["edges"].reverse(),
            "precisions.int8.measures.brightness: edges do not rise",
        ),
        (
            lambda file: file["precisions"]["int8"]["measures"]["brightness"]["counts"].pop(),
            "11 counts for 11 edges",
        ),
        (
            lambda file: file["precisions"]["fp32"]["measures"]["brightness"].update(counts=[0] * 12),
            "precisions.fp32.measures.brightness: all counts are 0",
        ),
        (lambda file: file["precisions"]["fp32"].update(images=10**30), "precisions.fp32.images: Input should"),
        (lambda file: file["precisions"]["fp32"].update(images=True), "precisions.fp32.images: Input should"),
        (
            lambda file: file["precisions"]["fp32"]["thresholds"].update(dark=float("nan")),
            "reference.json is not a valid drift reference: NaN is not a finite number",
        ),
    ],
)
def test_what_is_no_reference_is_said_in_one_line(spoil: Callable[[Any], Any], said: str) -> None:
    file = _written()
    spoil(file)
    with pytest.raises(
        RequestError, match=r"model v7: reference.json is not a valid drift reference: "
    ) as caught:
        parse_reference(json.dumps(file).encode(), "v7")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b'{"a": 1, "a": 2}'])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(
        RequestError, match=r"^model v7: reference.json is not a valid drift reference: [^\n]+$"
    ):
        parse_reference(data, "v7")


def test_a_precision_that_is_not_there_is_named() -> None:
    made = make_reference({"fp32": IMAGES}, held_out=True)
    with pytest.raises(RequestError, match=r"model v7: reference.json has no int8; score with"):
        made.of("int8", "v7")
