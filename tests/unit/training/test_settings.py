"""Tests of skinml/training/settings.py and of the request whose switches it has."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from skinml.errors import RequestError
from skinml.requests.recipe import RecipeRequest
from skinml.requests.training import TrainRequest
from skinml.training.settings import NAMED, PLAIN, SWITCHES, Settings, choose, in_words

TUNED = NAMED["fine-tuning"].settings


def test_each_setting_is_a_flag_and_each_flag_of_the_recipe_a_setting() -> None:
    assert set(RecipeRequest.model_fields) == {"recipe", *SWITCHES}
    assert all(field.description for field in RecipeRequest.model_fields.values())


def test_pre_trained_networks_are_fine_tuned_and_others_fitted_plainly() -> None:
    assert choose(None, True, {}) == NAMED["fine-tuning"]
    assert choose(None, False, {}) == NAMED["plain"]
    assert choose("plain", True, {}) == NAMED["plain"]
    chosen = choose(None, True, {"seed": 3}, epochs=15, batch_size=8)
    assert (chosen.epochs, chosen.batch_size, chosen.settings) == (15, 8, TUNED)


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Settings) if getattr(TUNED, field.name) != field.default]
)
def test_each_part_of_fine_tuning_can_be_switched_off(name: str) -> None:
    off: Any = getattr(PLAIN, name)
    request = TrainRequest(**{name: off})
    chosen = choose("fine-tuning", True, request.switched()).settings
    assert getattr(chosen, name) == off
    assert sum(getattr(chosen, other) != getattr(TUNED, other) for other in SWITCHES) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampling": 1.5},
        {"class_weights": -0.1},
        {"loss": "hinge"},
        {"focal_gamma": -1},
        {"logit_adjustment": 9},
        {"label_smoothing": 0.9},
        {"learning_rate": 0},
        {"weight_decay": -1},
        {"schedule": "linear"},
        {"warm_up": -1},
        {"average": 1},
        {"head_epochs": -1},
        {"keep": "first"},
        {"patience": -1},
        {"geometry": 2},
        {"colour": 2},
        {"cutout": 2},
        {"mixup": -0.1},
        {"drift": 7},
        {"precision": "float16"},
        {"learning_rate": float("nan")},
        {"recipe": "secret"},
    ],
)
def test_values_outside_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TrainRequest(**wrong)


def test_the_thesis_is_fitted_as_the_thesis_did() -> None:
    for given in ({"mixup": 0.0}, {"recipe": "fine-tuning"}):
        with pytest.raises(ValidationError, match="fits as the thesis did: leave --"):
            TrainRequest(protocol="thesis", **given)
    assert TrainRequest(protocol="thesis", recipe="plain", epochs=3).epochs == 3


def test_what_contradicts_itself_is_refused_and_defaults_give_way_to_a_short_fit() -> None:
    with pytest.raises(RequestError, match="--head-epochs 2 leaves none of 2 epochs"):
        choose("fine-tuning", True, {"head_epochs": 2}, epochs=2)
    with pytest.raises(RequestError, match="--warm-up 3 is longer than the 1 epochs"):
        choose("fine-tuning", True, {"warm_up": 3.0}, epochs=2)
    with pytest.raises(RequestError, match="--focal-gamma 1 is of the focal loss: give --loss focal"):
        choose("plain", True, {"focal_gamma": 1.0})
    one = choose("fine-tuning", True, {}, epochs=1).settings
    assert (one.head_epochs, one.warm_up) == (0, 0.5)


def test_settings_in_words_are_what_differs_from_plain() -> None:
    assert in_words(PLAIN) == "plain"
    assert in_words(Settings(sampling=0, keep="last", mixup=0.2)) == "sampling 0, keep last, mixup 0.2"
