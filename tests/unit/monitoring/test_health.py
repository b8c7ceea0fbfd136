"""Tests of skinml/monitoring/health.py: nights without a change, and nights with one."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from skinml.monitoring.flags import flag_images
from skinml.monitoring.health import (
    CLASSES,
    FEWEST_IMAGES,
    LARGE,
    LEVEL,
    Health,
    compare,
    stability_index,
)
from skinml.monitoring.reference import MEASURES, Measured, Usual, describe, distribution
from skinml.monitoring.tally import Tally, tally
from tests.unit.scoring.made_up_images import draw

USUAL = describe(draw(np.random.default_rng(0), 1500))


def _night(measured: Measured, usual: Usual = USUAL) -> Health:
    return compare(usual, tally(usual, measured, flag_images(measured, usual.thresholds)))


@pytest.mark.parametrize(
    ("held_out", "images", "nights"),
    [(1500, 60, 400), (1500, 300, 300), (1500, 5000, 150), (45, 60, 200), (200, 5000, 100)],
)
def test_nights_without_a_change_are_usual(held_out: int, images: int, nights: int) -> None:
    """References and nights drawn from one population: under one in a hundred may be called drifted."""
    generator = np.random.default_rng([held_out, images])
    called = sum(
        _night(draw(generator, images), describe(draw(generator, held_out))).verdict == "drifted"
        for _ in range(nights)
    )
    assert called <= nights // 100


@pytest.mark.parametrize("images", [60, 300, 5000])
def test_a_dark_night_is_found_and_said(images: int) -> None:
    health = _night(draw(np.random.default_rng(images), images, light=0.6))
    assert health.verdict == "drifted"
    first = health.measures[0]
    assert (first.measure, first.change) == ("brightness", "median brightness (0 to 1) is lower")
    assert first.psi - first.psi_by_chance >= LARGE
    assert first.p < LEVEL
    assert first.reference == pytest.approx(0.62, abs=0.01)
    assert first.tonight == pytest.approx(0.37, abs=0.02)
    assert [drift.measure for drift in health.measures if drift.drifted] == ["brightness"]
    assert health.sentence == (
        f"do not trust this run's scores: median brightness (0 to 1) is lower ({first.tonight:.3g} against"
        f" {first.reference:.3g}, PSI {first.psi:.2f}, p < 1e-9) than in the images the model was tested on"
    )
    assert health.flags["dark"] > images / 2


def test_another_camera_is_found_though_the_size_was_constant() -> None:
    for megapixels, direction in ((0.1, "lower"), (2.0, "higher")):
        health = _night(draw(np.random.default_rng(3), 50, megapixels=megapixels))
        assert [drift.measure for drift in health.measures if drift.drifted] == ["megapixels"]
        assert f"median size (megapixels) is {direction} ({megapixels:.3g} against 0.27, PSI" in health.sentence


def test_another_class_mix_is_found_and_named() -> None:
    health = _night(draw(np.random.default_rng(4), 300, class_mix=(0, 0, 0, 0, 1, 0, 0)))
    assert [drift.measure for drift in health.measures if drift.drifted] == [CLASSES]
    assert "mel is predicted more often (1 against 0.1" in health.sentence
    assert " of the images, PSI" in health.sentence


def test_what_has_not_changed_is_said_to_be_as_usual_whatever_else_has() -> None:
    health = _night(draw(np.random.default_rng(12), 5_000, light=0.6))
    changes = {drift.measure: drift.change for drift in health.measures}
    assert changes.pop("brightness") == "median brightness (0 to 1) is lower"
    assert changes == dict.fromkeys(changes, "as usual")
    assert set(changes) == {*MEASURES, CLASSES} - {"brightness"}
    classes, size = (
        next(drift for drift in health.measures if drift.measure == name) for name in (CLASSES, "megapixels")
    )
    assert (classes.tonight, classes.reference) == (None, None)
    assert [size.tonight, size.reference] == pytest.approx([0.27, 0.27])


def test_a_small_change_in_many_images_is_significant_but_no_drift() -> None:
    health = _night(draw(np.random.default_rng(5), 50_000, light=0.96))
    brightness = next(drift for drift in health.measures if drift.measure == "brightness")
    assert brightness.p < LEVEL
    assert health.verdict == "usual"
    assert health.sentence == "the 50,000 images of this run look like those the model was tested on"


def test_a_tenth_of_a_night_that_is_no_skin_is_found_though_no_median_moves() -> None:
    night = draw(np.random.default_rng(13), 700)
    night.unlike_training[:70] = 90.0
    health = _night(night)
    [drift] = [drift for drift in health.measures if drift.drifted]
    assert drift.measure == "unlike_training"
    assert drift.reference == pytest.approx(0.01, abs=0.001)
    said = "distance from the training images (in standard deviations) is very high more often (0.1"
    assert said in health.sentence


def test_many_changes_are_counted_not_listed() -> None:
    night = draw(np.random.default_rng(6), 300, light=0.5, megapixels=2, class_mix=(1, 0, 0, 0, 0, 0, 0))
    health = _night(night._replace(sharpness=night.sharpness / 10, unlike_training=night.unlike_training * 5))
    assert sum(drift.drifted for drift in health.measures) == 5
    assert health.sentence.endswith("the images the model was tested on, and 2 more measures have drifted")
    assert health.sentence.count("PSI") == 3


def test_few_images_are_not_judged() -> None:
    dark = draw(np.random.default_rng(7), FEWEST_IMAGES - 1, light=0.2)
    health = _night(dark)
    assert (health.verdict, health.measures) == ("too_few", ())
    assert health.sentence == "49 images are too few to judge whether they are usual: 50 are needed"
    assert health.flags["dark"] == 49
    assert compare(USUAL, Tally()).verdict == "too_few"


def test_a_small_reference_is_not_compared_with() -> None:
    health = _night(draw(np.random.default_rng(8), 500), describe(draw(np.random.default_rng(9), 39)))
    assert health.verdict == "too_few"
    assert health.sentence.startswith("the drift reference has 39 images, too few")


def test_shards_add_up_to_the_night_and_are_tiny() -> None:
    night = draw(np.random.default_rng(10), 1000, light=0.9)
    flags = flag_images(night, USUAL.thresholds)
    parts = [slice(0, 1), slice(1, 1), slice(1, 700), slice(700, 1000)]
    pieces = [{name: values[part] for name, values in night._asdict().items()} for part in parts]
    shards = [tally(USUAL, Measured(**piece), flags[part]) for piece, part in zip(pieces, parts, strict=True)]
    whole, summed = tally(USUAL, night, flags), sum(shards, start=Tally())
    assert compare(USUAL, summed).sentence == compare(USUAL, whole).sentence
    for name, values in whole.values.items():
        np.testing.assert_array_equal(summed.values[name].smallest, values.smallest)
        np.testing.assert_array_equal(summed.values[name].counts, values.counts)
    assert summed.images == sum(whole.counts["brightness"]) == whole.predicted.sum() == 1000
    assert len(pickle.dumps(whole)) < 25_000
    assert len(pickle.dumps(sum((whole for _ in range(50)), start=Tally()))) < 25_000


def test_the_detail_is_json_whatever_the_values() -> None:
    night = draw(np.random.default_rng(11), 100)
    broken = night._replace(unlike_training=np.full(100, np.nan), sharpness=np.full(100, np.inf))
    health = _night(broken)
    detail = json.loads(health.to_json())
    assert detail["verdict"] == "drifted"
    assert {drift["measure"] for drift in detail["measures"]} == {*MEASURES, CLASSES}
    assert detail["flags"]["unlike_training"] == 100


def test_three_large_photographs_do_not_make_a_night_of_thumbnails_large() -> None:
    """Their mean is above that of the reference, and nearly all images are below it."""
    night = draw(np.random.default_rng(14), 64)
    night.megapixels[:] = [24.0] * 3 + [0.03] * 61
    assert night.megapixels.mean() > 4 * 0.27
    assert "median size (megapixels) is lower (0.03 against 0.27, PSI" in _night(night).sentence


ODDITIES = [0.0, -0.0, 1e-300, 1.0, 0.27, np.nextafter(0.27, 1), 1e9, np.inf, np.nan]


@st.composite
def _values(draw_from: st.DrawFn, finite: bool) -> NDArray[np.float64]:
    """Many values of some shape: one peak or two, ties, tails, or few distinct ones and odd ones among them."""
    images = draw_from(st.integers(50, 400))
    generator = np.random.default_rng(draw_from(st.integers(0, 2**32)))
    centres = np.array(draw_from(st.lists(st.floats(0, 30), min_size=1, max_size=4)))
    values = generator.choice(centres, images) + generator.gamma(1.0, draw_from(st.floats(0, 3)), images)
    values[values < 1e-300] = 0.0  # no measure has subnormal numbers, which share a bin with zero
    if draw_from(st.booleans()):
        values = np.round(values, draw_from(st.integers(0, 3)))
    if not finite and draw_from(st.booleans()):
        values[: draw_from(st.integers(0, images))] = draw_from(st.sampled_from(ODDITIES))
    return values


@st.composite
def _held_out(draw_from: st.DrawFn) -> Usual:
    """A reference of any values, as this skinml writes it or as one from before medians did."""
    values = draw_from(_values(finite=True))
    usual = describe(_all_of(values))
    if draw_from(st.booleans()):
        return usual
    older = {name: one.model_copy(update={"median": None}) for name, one in usual.measures.items()}
    return usual.model_copy(update={"measures": older})


def _all_of(values: NDArray[np.float64]) -> Measured:
    """Images whose measures are all these values."""
    with np.errstate(invalid="ignore"):
        predicted = np.nan_to_num(values).astype(np.int64) % 7
    return Measured(values, values, values, values, values, predicted)


@example(describe(_all_of(np.zeros(50))), np.array([-0.0] * 25 + [1.0] * 25))  # shown as 0, and equal to it
@given(_held_out(), _values(finite=False))
def test_words_and_figures_agree_whatever_the_images(usual: Usual, night: NDArray[np.float64]) -> None:
    health = _night(_all_of(night), usual)
    for drift in health.measures:
        words = drift.change
        if words == "as usual":
            continue
        assert drift.tonight is not None
        assert drift.reference is not None
        # A zero has no sign for a reader.
        tonight, reference = (float(f"{one:.3g}") + 0.0 for one in (drift.tonight, drift.reference))
        if words.endswith(("is lower", "less often")):
            assert tonight < reference
        elif words.endswith(("is higher", "more often")):
            assert tonight > reference
        else:
            assert words.endswith("differently")
        if words.startswith("median"):
            assert drift.tonight in night
            assert (night <= drift.tonight * (1 + 1 / 32)).mean() >= 0.5
            assert (~(night < drift.tonight)).mean() >= 0.5
        if drift in [one for one in health.measures if one.drifted][:3]:
            assert f"{words} ({tonight:.3g} against {reference:.3g}" in health.sentence


@given(_values(finite=True))
def test_a_reference_from_before_medians_still_says_where_its_middle_is(values: NDArray[np.float64]) -> None:
    made = distribution(values)
    older = made.model_copy(update={"median": None})
    counts, edges = np.array(made.counts), np.array((-np.inf, *made.edges, np.inf))
    place = int(np.searchsorted(edges, older.middle(), side="left")) - 1
    assert counts[: max(place, 0)].sum() <= len(values) / 2 <= counts[: place + 2].sum()
    if len(values) / 2 in counts.cumsum():  # an edge between the halves, as deciles without ties have
        lower, upper = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]]
        assert lower <= older.middle() <= upper


def test_the_index_is_the_formula_and_its_mean_by_chance_is_known() -> None:
    first, second = np.array([100, 300, 600]), np.array([2000, 3000, 5000])
    a, b = (first + 0.5) / 1001.5, (second + 0.5) / 10001.5
    index, by_chance = stability_index(first, second)
    assert index == pytest.approx(((a - b) * np.log(a / b)).sum())
    assert by_chance == pytest.approx(2 * (1 / 1000 + 1 / 10_000))
    generator = np.random.default_rng(12)
    fractions = np.full(10, 0.1)
    indices = [
        stability_index(generator.multinomial(300, fractions), generator.multinomial(1500, fractions))
        for _ in range(500)
    ]
    assert np.mean([index for index, _ in indices]) == pytest.approx(indices[0][1], rel=0.1)
