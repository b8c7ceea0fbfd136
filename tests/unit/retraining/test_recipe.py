"""Tests of skinml/retraining/recipe.py: the champion's recipe, unless the request says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from skinml.errors import RequestError
from skinml.models.manifest import Manifest
from skinml.requests.retraining import RetrainRequest
from skinml.retraining.recipe import is_same_recipe, training_of
from skinml.training.settings import NAMED, choose


def manifest(**more: Any) -> Manifest:
    fields = {
        "name": "thesis-cnn",
        "version": "v1",
        "created_at": "2026-01-01T00:00:00+00:00",
        "run_id": "train-1",
        "protocol": "grouped",
        "class_order": ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
        "preprocessing": {"size": 32},
        "dataset": {},
        "parameters": {"epochs": 3, "batch_size": 16, "seed": 7, "trainable_parameters": 384_455},
        "libraries": {},
        "files": {},
    }
    return Manifest(**{**fields, **more})


def test_a_challenger_is_trained_as_the_champion_was() -> None:
    found = training_of(RetrainRequest(contact="Ada"), manifest(), "retrain-1")
    assert (found.model, found.protocol, found.epochs, found.batch_size, found.seed) == (
        *("thesis-cnn", "grouped", 3, 16, 7),
    )
    assert (found.requested_by, found.contact) == ("retrain-1", "Ada")


def test_a_challenger_takes_over_the_settings_that_the_champion_recorded() -> None:
    tuned = replace(NAMED["fine-tuning"].settings, mixup=0.4, sampling=0.5)
    parameters = {"epochs": 3, "batch_size": 16, "seed": 7, "recipe": "fine-tuning"}
    champion = manifest(parameters={**parameters, "settings": tuned.to_json()})
    found = training_of(RetrainRequest(), champion, "retrain-1")
    assert choose(found.recipe, False, found.switched(), found.epochs).settings == tuned
    assert is_same_recipe(champion, found)
    assert not is_same_recipe(manifest(), found)
    shorter = training_of(RetrainRequest(epochs=1), champion, "retrain-1")
    assert choose(shorter.recipe, False, shorter.switched(), shorter.epochs).settings.mixup == 0.4
    old = training_of(RetrainRequest(), manifest(), "retrain-1")
    assert (old.recipe, old.switched()) == ("plain", {})


def test_what_was_asked_comes_first() -> None:
    found = training_of(RetrainRequest(epochs=9, seed=0), manifest(), "retrain-1")
    assert (found.epochs, found.batch_size, found.seed) == (9, 16, 0)


def test_another_protocol_has_another_recipe_and_without_a_champion_the_defaults_hold() -> None:
    for champion in (manifest(protocol="thesis"), None):
        found = training_of(RetrainRequest(), champion, "retrain-1")
        assert (found.model, found.protocol, found.epochs, found.batch_size, found.seed) == (
            *("thesis-cnn", "grouped", None, None, 42),
        )


@pytest.mark.parametrize(
    ("champion", "request_", "words"),
    [
        (manifest(name="tiny"), {}, r"champion v1: no architecture is called 'tiny'.*choose one with --model"),
        (manifest(name="tiny"), {"model": "vgg16"}, "^no architecture is called 'vgg16'"),
        (manifest(parameters={"epochs": 0}), {}, "the champion's manifest cannot be trained by: .*epochs"),
        (
            manifest(parameters={"settings": {"mixup": -1}}),
            {},
            "the champion's manifest cannot be trained by: .*mixup",
        ),
        (manifest(parameters={"seed": "x"}), {}, "the champion's manifest cannot be trained by: .*seed"),
    ],
)
def test_what_cannot_be_trained_is_refused(champion: Manifest, request_: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        training_of(RetrainRequest(**request_), champion, "retrain-1")


def test_a_challenger_of_another_recipe_is_not_taken_over() -> None:
    training = training_of(RetrainRequest(), manifest(), "retrain-1")
    assert is_same_recipe(manifest(version="v2"), training)
    assert not is_same_recipe(manifest(parameters={"epochs": 4, "batch_size": 16, "seed": 7}), training)
    assert not is_same_recipe(manifest(protocol="thesis"), training)


def test_an_empty_text_was_not_given_as_prefect_hands_over_an_unset_variable() -> None:
    found = RetrainRequest(**{"images": "", "metadata": "", "min_new": "", "approve": "human"})
    assert found == RetrainRequest()
    assert RetrainRequest(**{"min_new": "37"}).min_new == 37
