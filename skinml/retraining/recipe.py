"""What a challenger is trained with: what the request says, otherwise the champion's recipe."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from skinml.errors import RequestError
from skinml.models.manifest import Manifest
from skinml.models.zoo import DEFAULT, architecture
from skinml.requests.retraining import RetrainRequest
from skinml.requests.training import TrainRequest
from skinml.strict_json import first_problem

PROTOCOL = "grouped"
"""A challenger is always trained so: the thesis protocol holds no lesion out that a gate could judge by."""

TAKEN_OVER = ("epochs", "batch_size", "seed", "weights")
"""Parameters of the champion that a challenger takes over, if it has the same architecture and protocol."""


def training_of(request: RetrainRequest, champion: Manifest | None, run_id: str) -> TrainRequest:
    """Return the request to train a challenger.

    Args:
        request: what was asked.
        champion: manifest of the champion; None if there is none, so that the defaults of `train` hold.
        run_id: the retraining.

    Raises:
        RequestError: there is no such architecture, or the champion's manifest has a parameter that `train`
            refuses.
    """
    model = request.model or (champion.name if champion is not None else DEFAULT)
    try:
        architecture(model)
    except RequestError as error:
        if request.model is not None or champion is None:
            raise
        raise RequestError(f"champion {champion.version}: {error}; choose one with --model") from error
    shared = {name: value for name, value in request if name in TrainRequest.model_fields}
    asked: dict[str, Any] = {name: value for name, value in shared.items() if value is not None}
    same = champion is not None and (champion.name, champion.protocol) == (model, PROTOCOL)
    taken = {name: champion.parameters.get(name) for name in TAKEN_OVER} if champion and same else {}
    taken = {name: value for name, value in taken.items() if value is not None}
    try:
        return TrainRequest(**{**taken, **asked, "model": model, "protocol": PROTOCOL, "requested_by": run_id})
    except ValidationError as error:
        raise RequestError(
            f"the champion's manifest cannot be trained by: {first_problem(error)}; give --epochs, --batch-size"
            " and --seed"
        ) from error


def is_same_recipe(challenger: Manifest, training: TrainRequest) -> bool:
    """Whether a registered version is what this request would train, as far as its manifest says."""
    if (challenger.name, challenger.protocol) != (training.model, training.protocol):
        return False
    asked = {name: getattr(training, name) for name in TAKEN_OVER}
    return all(value is None or challenger.parameters.get(name) == value for name, value in asked.items())
