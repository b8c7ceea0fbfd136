"""What the best network of a search is fitted by, as an ordinary version."""

from __future__ import annotations

from typing import Any

from skinml.requests.search import SearchRequest
from skinml.requests.training import TrainRequest
from skinml.search.fit_trial import BATCH_SIZE, WEIGHT_DECAY
from skinml.search.space import fitting_of
from skinml.search.trials import Trial


def training_of(request: SearchRequest, trial: Trial) -> TrainRequest:
    """The request to fit a trial's network on all training lesions.

    By the grouped protocol and the recipe `plain`: balanced draws, the epoch chosen on validation lesions, test
    lesions read once. Size of batches, number of epochs and learning rate are the trial's. `train` has no SGD,
    and its augmentation has one strength: if the trial moved images, it moves them too.
    """
    shared = {name: value for name, value in request if name in TrainRequest.model_fields}
    fitting = fitting_of(trial.values)
    settings: dict[str, Any] = {}
    if fitting.optimizer != "sgd":
        settings["learning_rate"] = fitting.learning_rate
    if fitting.optimizer == "adam_weight_decay":
        settings |= {"weight_decay": WEIGHT_DECAY, "schedule": "cosine"}
    if fitting.moves:
        settings["geometry"] = 1.0
    asked = {"protocol": "grouped", "recipe": "plain", "model": trial.model, "batch_size": BATCH_SIZE}
    return TrainRequest(**{**shared, **asked, **settings})
