"""What can be asked of a fit: the named recipe and each of its switches."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from skinml.requests.base import Request
from skinml.training.settings import (
    SWITCHES,
    Adjustment,
    Alpha,
    Decay,
    Epochs,
    Gamma,
    Keep,
    LearningRate,
    Loss,
    Precision,
    RecipeName,
    Schedule,
    Smoothing,
    Strength,
    WholeEpochs,
)


class RecipeRequest(Request):
    """How to fit. What is not given is as the recipe says."""

    recipe: RecipeName | None = Field(
        None, description="how to fit (default: fine-tuning for pre-trained weights, otherwise plain)"
    )
    sampling: Strength | None = Field(
        None, description="draw an image with weight count^-N of its class: 0 as they are, 1 balanced"
    )
    class_weights: Strength | None = Field(
        None, description="the same in the loss, by the classes' shares of what is drawn; 0: off"
    )
    loss: Loss | None = Field(None, description="loss")
    focal_gamma: Gamma | None = Field(None, description="gamma of --loss focal (default: 2)")
    logit_adjustment: Adjustment | None = Field(None, description="tau of logit adjustment; 0: off")
    label_smoothing: Smoothing | None = Field(
        None, description="part of each label spread over all classes; 0: off"
    )
    learning_rate: LearningRate | None = Field(None, description="highest learning rate of Adam")
    weight_decay: Strength | None = Field(None, description="weight decay of AdamW; 0: off")
    schedule: Schedule | None = Field(None, description="course of the learning rate")
    warm_up: Epochs | None = Field(None, description="epochs in which the learning rate rises; 0: off")
    average: Decay | None = Field(
        None, description="decay of the moving average of weights that is kept in their place; 0: off"
    )
    head_epochs: WholeEpochs | None = Field(
        None, description="epochs of the last layer alone, before the whole network is fitted; 0: off"
    )
    keep: Keep | None = Field(None, description="epoch whose weights are kept, best on validation or last")
    patience: WholeEpochs | None = Field(
        None, description="stop after so many epochs without a better validation; 0: never"
    )
    geometry: Strength | None = Field(None, description="strength of flips, rotation, scale, shift; 0: off")
    colour: Strength | None = Field(
        None, description="strength of changes of brightness, contrast, saturation, hue; 0: off"
    )
    cutout: Strength | None = Field(None, description="probability that a square is blanked out; 0: off")
    mixup: Alpha | None = Field(None, description="alpha of mixing two images and their labels; 0: off")
    drift: Strength | None = Field(
        None, description="probability that an image is saved as JPEG or resized once more; 0: off"
    )
    precision: Precision | None = Field(None, description="what layers compute in")

    def switched(self) -> dict[str, Any]:
        """The settings that were given, by name."""
        return {name: value for name in SWITCHES if (value := getattr(self, name)) is not None}
