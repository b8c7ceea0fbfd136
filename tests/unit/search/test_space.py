"""Tests of skinml/search/space.py: the space is AutoKeras's, and the thesis's network lies in it."""

from __future__ import annotations

from skinml.models import searched_structure
from skinml.search.space import INITIAL, THESIS, Fitting, Values, fitting_of, has, make_space, structure_of


def _lies_in_the_space(values: Values) -> bool:
    """By keras-tuner: every hyperparameter that is active has one of its values, and no other is there."""
    space = make_space()
    space.values = dict(values)
    active = {one.name: one for one in space.space if space.is_active(one) and has(values, one.name)}
    return active.keys() == values.keys() and all(
        values[name] in (getattr(one, "values", None) or (True, False)) for name, one in active.items()
    )


def test_the_thesis_network_lies_in_the_space() -> None:
    assert _lies_in_the_space(THESIS)
    assert structure_of(THESIS) == searched_structure.THESIS
    assert searched_structure.cost(structure_of(THESIS)).parameters == 384_455
    assert fitting_of(THESIS) == Fitting("adam", 0.001)


def test_what_autokeras_tries_first_lies_in_the_space() -> None:
    assert _lies_in_the_space(INITIAL)
    assert str(structure_of(INITIAL, (0.5,) * 6)).startswith("filters=32+64,kernel=3")


def test_a_network_outside_of_the_space_does_not_lie_in_it() -> None:
    assert not _lies_in_the_space({**THESIS, "convolution/dropout": 0.4})
    assert not _lies_in_the_space({**THESIS, "convolution/filters_3_2": 64})
    assert not _lies_in_the_space({**THESIS, "image/augment": True})


def test_the_values_of_autokeras_are_all_there() -> None:
    values = {one.name: getattr(one, "values", None) for one in make_space().space}
    assert values["convolution/kernel"] == [3, 5, 7]
    assert values["convolution/filters_3_2"] == [16, 32, 64, 128, 256, 512]
    assert set(values["convolution/dropout"]) >= {0.0, 0.25, 0.5}
    assert values["optimizer"] == ["adam", "sgd", "adam_weight_decay"]
    assert values["learning_rate"] == [1e-1, 1e-2, 1e-3, 1e-4, 2e-5, 1e-5]


def test_augmentation_is_fitted_with_if_it_is_on() -> None:
    augmentation = {
        "shift": 0.1,
        "horizontal_flip": True,
        "vertical_flip": False,
        "rotation": 0.0,
        "contrast": 0.1,
    }
    values = {**THESIS, **{f"image/augmentation/{name}": value for name, value in augmentation.items()}}
    assert fitting_of({**values, "image/augment": True}) == Fitting("adam", 0.001, 0.1, True, False, 0.0, 0.1)
    assert not fitting_of({**values, "image/augment": False}).moves
