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
from skinml.training.settings import SWITCHES

RECIPE_OF_OLD = "plain"

PROTOCOL = "grouped"
"""A challenger is always trained so: the thesis protocol holds no lesion out that a gate could judge by."""

FINISHING = ("views", "calibration", "operating_sensitivity")
"""Parameters of what follows a fit."""

TAKEN_OVER = ("epochs", "batch_size", "seed", "recipe", "weights", *FINISHING)
"""Parameters of the champion that a challenger takes over, if it has the same architecture and protocol. Its
settings too; a champion of a version that did not record them was fitted by the recipe `plain`. Not its
teachers: they may have seen lesions that are test lesions by now."""


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
    model = request.model or (model_of(champion) if champion is not None else DEFAULT)
    try:
        architecture(model)
    except RequestError as error:
        if request.model is not None or champion is None:
            raise
        raise RequestError(f"champion {champion.version}: {error}; choose one with --model") from error
    shared = {name: value for name, value in request if name in TrainRequest.model_fields}
    asked: dict[str, Any] = {name: value for name, value in shared.items() if value is not None}
    same = champion is not None and (model_of(champion), champion.protocol) == (model, PROTOCOL)
    taken = _recorded(champion) if champion is not None and same else {}
    if request.epochs is not None:  # parts of the champion's epochs may not fit into others
        taken = {name: value for name, value in taken.items() if name not in {"head_epochs", "warm_up"}}
    try:
        return TrainRequest(**{**taken, **asked, "model": model, "protocol": PROTOCOL, "requested_by": run_id})
    except ValidationError as error:
        raise RequestError(
            f"the champion's manifest cannot be trained by: {first_problem(error)}; give --epochs, --batch-size"
            " and --seed"
        ) from error


def model_of(manifest: Manifest) -> str:
    """What `--model` calls the architecture of a version: its name, and its structure if it has one."""
    structure = manifest.architecture.get("structure")
    return manifest.name if structure is None else f"{manifest.name}:{structure}"


def _recorded(version: Manifest) -> dict[str, Any]:
    """What the manifest says of how a version was fitted, by the names of `train`'s flags."""
    settings = version.parameters.get("settings")
    named = settings if isinstance(settings, dict) else {}
    found = {name: version.parameters.get(name) for name in TAKEN_OVER}
    found["recipe"] = found["recipe"] or RECIPE_OF_OLD
    found |= {name: value for name, value in named.items() if name in SWITCHES}
    if found.get("loss") != "focal":  # then its gamma does nothing, and `train` refuses it
        found.pop("focal_gamma", None)
    return {name: value for name, value in found.items() if value is not None}


def is_same_recipe(challenger: Manifest, training: TrainRequest) -> bool:
    """Whether a registered version is what this request would train, as far as its manifest says."""
    if (model_of(challenger), challenger.protocol) != (training.model, training.protocol):
        return False
    asked = {name: getattr(training, name) for name in (*TAKEN_OVER, *SWITCHES)}
    found = _recorded(challenger)
    found = {
        **{name: asked[name] for name in FINISHING},
        **found,
    }  # of a version from before they were recorded
    return all(value is None or found.get(name) == value for name, value in asked.items())
