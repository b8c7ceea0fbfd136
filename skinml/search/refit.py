"""What the best network of a search is fitted by, as an ordinary version."""

from __future__ import annotations

from skinml.requests.search import SearchRequest
from skinml.requests.training import TrainRequest
from skinml.search.fit_trial import BATCH_SIZE
from skinml.search.trials import Trial


def training_of(request: SearchRequest, trial: Trial) -> TrainRequest:
    """The request to fit a trial's network on all training lesions.

    By the grouped protocol: balanced draws, the epoch chosen on validation lesions, test lesions read once. The
    size of batches and the number of epochs are those of the search.
    """
    shared = {name: value for name, value in request if name in TrainRequest.model_fields}
    return TrainRequest(**{**shared, "protocol": "grouped", "model": trial.model, "batch_size": BATCH_SIZE})
