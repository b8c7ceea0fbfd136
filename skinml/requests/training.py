"""The request of `train`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from skinml.models.calibrated import SENSITIVITY, Method
from skinml.models.outputs import Views
from skinml.requests.base import SHARED, ClusterRequest, Fraction, Request, Texts
from skinml.requests.models import FloorsRequest
from skinml.requests.recipe import RecipeRequest


def _as_number(value: Any) -> Any:
    """A number as the command line gives it: a Literal compares without converting."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


class CardRequest(Request):
    """What only people know of a model. The model card says of everything else that it is not reported."""

    data_source: Annotated[str, SHARED] = Field(
        "", max_length=1000, description="where the labelled images come from, and how to cite them"
    )
    data_licence: Annotated[str, SHARED] = Field(
        "", max_length=200, description="the licence of the labelled images"
    )
    intended_use: Annotated[str, SHARED] = Field(
        "", max_length=1000, description="intended use (default: research)"
    )
    ethics: Annotated[str, SHARED] = Field("", max_length=1000, description="ethical approval and consent")
    contact: Annotated[str, SHARED] = Field("", max_length=200, description="whom to ask")

    def told(self) -> dict[str, str]:
        """What was given, by the name of its field."""
        return {name: text for name in CardRequest.model_fields if (text := getattr(self, name))}


class TrainRequest(FloorsRequest, RecipeRequest, CardRequest, ClusterRequest):
    """Fit a model on the prepared images, and register it as an immutable version."""

    protocol: Literal["grouped", "thesis"] = Field(
        "grouped",
        description="grouped: holds out whole lesions; thesis: as in the thesis, and an honest refit",
    )
    model: str = Field("thesis-cnn", description="architecture to fit")
    weights: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="weights to start from: imagenet, none or PATH (default: imagenet if the model has them)",
    )
    weights_sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="SHA-256 that the file of --weights PATH must have"
    )
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="number of epochs (default: 50 for thesis, otherwise 20)"
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="batch size (default: 16 for thesis, 64 for plain, 32 for fine-tuning)",
    )
    seed: int = Field(42, ge=0, lt=2**32, description="seed of weights, order and dropout")
    views: Annotated[Views, BeforeValidator(_as_number)] = Field(
        1, description="views of each image (mirrored, turned) that the model averages over: 1, 2, 4 or 8"
    )
    calibration: Method = Field(
        "temperature", description="how probabilities are calibrated on validation lesions: temperature, none"
    )
    operating_sensitivity: Fraction = Field(
        SENSITIVITY,
        gt=0.0,
        description="sensitivity that the threshold for p_malignant has to reach on validation lesions",
    )
    teachers: Texts = Field(
        (),
        description="versions whose mean probabilities the model learns from, beside the labels; repeat the"
        " flag or separate them by commas",
    )
    distill_weight: Fraction = Field(
        0.5, description="weight of what the teachers say in the target; the label has the rest"
    )
    distill_temperature: float = Field(
        1.0, ge=1.0, le=20.0, description="above 1, what the teachers say is spread over more diagnoses"
    )
    requested_by: str = Field(
        "",
        max_length=200,
        description="run_id of the retrain that asked for this training, for its row in runs",
    )

    @field_validator("teachers", mode="after")
    @classmethod
    def _one_by_one(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.strip() for part in given for name in part.split(","))
        if not all(names):
            raise ValueError("a version has no name; give --teachers VERSION,VERSION or leave it out")
        return names

    @model_validator(mode="after")
    def _teaching_needs_teachers(self) -> TrainRequest:
        alone = sorted({"distill_weight", "distill_temperature"} & self.model_fields_set)
        if alone and not self.teachers:
            flag = f"--{alone[0].replace('_', '-')}"
            raise ValueError(f"{flag} needs --teachers: name the versions to learn from, or leave it out")
        if self.teachers and self.protocol == "thesis":
            raise ValueError(
                "--teachers contradicts --protocol thesis, which fits on labels alone; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _the_thesis_looked_once(self) -> TrainRequest:
        if self.protocol == "thesis" and self.views != 1:
            raise ValueError(
                f"--views {self.views} contradicts --protocol thesis, which looks at each image once; leave one"
                " of them out"
            )
        return self

    @model_validator(mode="after")
    def _thesis_is_as_it_was(self) -> TrainRequest:
        given = sorted(self.switched())
        if self.protocol == "thesis" and (given or self.recipe == "fine-tuning"):
            flag = f"--{given[0].replace('_', '-')}" if given else "--recipe fine-tuning"
            raise ValueError(f"--protocol thesis fits as the thesis did: leave {flag} out, or use grouped")
        return self
