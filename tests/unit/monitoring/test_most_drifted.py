"""Tests of skinml/monitoring/most_drifted.py: the images that are furthest from the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from skinml.monitoring.most_drifted import distances, most_drifted
from skinml.monitoring.reference import MEASURES, describe, distribution
from tests.unit.report.night.made_up import usual_of
from tests.unit.scoring.made_up_images import draw

USUAL = describe(draw(np.random.default_rng(0), 1500))


def _night(count: int = 300, **changed: tuple[int, float]) -> dict[str, Any]:
    measured = draw(np.random.default_rng(1), count)
    values = {name: np.array(getattr(measured, name)) for name in MEASURES}
    for name, (row, value) in changed.items():
        values[name][row] = value
    return values


def test_the_dark_and_the_foreign_image_come_first_and_say_why() -> None:
    found = most_drifted(USUAL, _night(brightness=(17, 0.01), unlike_training=(99, 500.0)), ())
    assert [one.row for one in found[:2]] == [99, 17]
    assert found[1].measure == "brightness"
    assert found[1].in_words().startswith("brightness (0 to 1) 0.01; usual: ")
    assert len(found) <= 10
    assert found == sorted(found, key=lambda one: -one.distance)


def test_on_a_drifted_night_only_what_has_drifted_counts() -> None:
    found = most_drifted(USUAL, _night(brightness=(17, 0.01), unlike_training=(99, 500.0)), ["brightness"])
    assert found[0].row == 17
    assert {one.measure for one in found} == {"brightness"}


def test_confidence_and_distance_are_unusual_on_one_side_only() -> None:
    away = distances(USUAL, _night(confidence=(3, 1.0), unlike_training=(4, 0.0)))
    assert away["confidence"][3] == 0
    assert away["unlike_training"][4] == 0


def test_a_missing_value_is_never_far() -> None:
    values = _night()
    values["sharpness"][:] = np.nan
    assert not distances(USUAL, values)["sharpness"].any()


def test_one_size_of_all_held_out_images_does_not_make_a_slightly_other_size_the_furthest() -> None:
    generator = np.random.default_rng(2)
    measures = {name: distribution(generator.normal(0.5, 0.1, 200)) for name in MEASURES}
    measures["megapixels"] = distribution(np.full(200, 0.27))
    values = {name: np.full(5, 0.5) for name in MEASURES} | {
        "megapixels": np.array([0.27, 0.27, 0.28, 0.27, 0.27])
    }
    values["brightness"] = np.array([0.5, 0.5, 0.5, 0.01, 0.5])
    [first, *_] = most_drifted(usual_of(measures), values, ())
    assert (first.row, first.measure) == (3, "brightness")


def test_a_reference_of_two_bins_knows_no_range() -> None:
    measures = {name: distribution(np.random.default_rng(3).normal(0.5, 0.1, 30)) for name in MEASURES}
    assert all(len(one.edges) == 1 for one in measures.values())
    assert most_drifted(usual_of(measures), _night(), ()) == []
