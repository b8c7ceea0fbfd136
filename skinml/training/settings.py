"""How to fit: one frozen description of every switch of a fit, and the two recipes that have a name.

Sampling, loss, optimiser, weight averaging, augmentation. It is part of a fit's job, so it holds plain values
alone. Ranges stand in the types, which the request of `train` shares. Importing this module loads neither NumPy
nor Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from skinml.errors import RequestError

Strength = Annotated[float, Field(ge=0.0, le=1.0)]
"""0: off; 1: full."""
Gamma = Annotated[float, Field(ge=0.0, le=10.0)]
Adjustment = Annotated[float, Field(ge=0.0, le=3.0)]
Smoothing = Annotated[float, Field(ge=0.0, le=0.5)]
LearningRate = Annotated[float, Field(gt=0.0, le=1.0)]
Epochs = Annotated[float, Field(ge=0.0, le=1000.0)]
WholeEpochs = Annotated[int, Field(ge=0, le=1000)]
Decay = Annotated[float, Field(ge=0.0, le=0.99999)]
Alpha = Annotated[float, Field(ge=0.0, le=10.0)]
Loss = Literal["cross-entropy", "focal"]
Schedule = Literal["constant", "cosine"]
Keep = Literal["best", "last"]
Precision = Literal["float32", "bfloat16"]
RecipeName = Literal["plain", "fine-tuning"]


@dataclass(frozen=True)
class Settings:
    """How to fit. The defaults are the recipe `plain`.

    Attributes:
        sampling: each image is drawn with a weight of count^-sampling, count being the images of its class.
            0: every image once an epoch; 1: every class equally often.
        class_weights: likewise, in the loss in place of the draw, by the classes' shares of what is drawn. So
            it changes nothing if sampling is 1.
        loss: categorical cross-entropy in nats, or focal (Lin et al., 2017), which weights each image by
            (1 - p)^focal_gamma.
        focal_gamma: see `loss`.
        logit_adjustment: tau of Menon et al. (2021): the loss sees probabilities times share^tau, with the
            classes' shares of what is drawn, so that the network itself learns to be balanced. 0: off.
        label_smoothing: this much of each label is spread over the seven classes (Szegedy et al., 2016).
        learning_rate: of Adam, the highest of the schedule.
        weight_decay: of AdamW (Loshchilov and Hutter, 2019), each step times the learning rate. 0: plain Adam.
        schedule: the learning rate stays, or falls to 0 along half a cosine.
        warm_up: epochs, also parts of one, in which the learning rate rises to its highest first.
        average: decay a step of a moving average of the weights, which is measured and kept in their place.
            At most 1 - 10 / steps, so that a short fit does not keep its random beginning. 0: off.
        head_epochs: so many epochs first with all layers frozen but the last one that has weights.
        keep: the weights of the epoch with the best balanced accuracy on validation, or of the last one.
        patience: stop after so many epochs without a better balanced accuracy on validation. 0: never.
        geometry: strength of flips, rotation by any angle, scale and shift. 0: off.
        colour: strength of changes of brightness, contrast, saturation and hue. 0: off.
        cutout: probability that a square of an image is blanked out (DeVries and Taylor, 2017).
        mixup: alpha of the Beta distribution by which two images and their labels are mixed (Zhang et al.,
            2018). 0: off.
        drift: probability of drift of preprocessing: saved as JPEG again, and resized down and up by any
            filters.
        precision: what layers compute in. Weights are float32 either way, and so is what is exported.

    """

    sampling: Strength = 1.0
    class_weights: Strength = 0.0
    loss: Loss = "cross-entropy"
    focal_gamma: Gamma = 2.0
    logit_adjustment: Adjustment = 0.0
    label_smoothing: Smoothing = 0.0
    learning_rate: LearningRate = 0.001
    weight_decay: Strength = 0.0
    schedule: Schedule = "constant"
    warm_up: Epochs = 0.0
    average: Decay = 0.0
    head_epochs: WholeEpochs = 0
    keep: Keep = "best"
    patience: WholeEpochs = 0
    geometry: Strength = 0.0
    colour: Strength = 0.0
    cutout: Strength = 0.0
    mixup: Alpha = 0.0
    drift: Strength = 0.0
    precision: Precision = "float32"

    @property
    def augments(self) -> bool:
        """Whether pixels are changed, which costs time of a processor."""
        return any((self.geometry, self.colour, self.cutout, self.mixup, self.drift))

    def to_json(self) -> dict[str, Any]:
        """All of them, for a manifest."""
        return asdict(self)


PLAIN = Settings()
"""What the grouped protocol fits by unless it is told otherwise."""

THESIS = Settings(sampling=0.0, keep="last")
"""What the thesis fits by."""

FOLDS = Settings(keep="last")
"""What networks are fitted by that predict the fold they have not seen: no epoch is chosen by that fold."""


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe with a name: its settings, and how long and in what batches it fits unless it is told."""

    name: RecipeName
    settings: Settings
    epochs: int
    batch_size: int


NAMED: dict[RecipeName, NamedRecipe] = {
    "plain": NamedRecipe("plain", PLAIN, epochs=20, batch_size=64),
    # Sampling 1, last epoch and average beat sampling 0.75 and best epoch on validation lesions of HAM10000:
    # balanced accuracy 0.695 against 0.66.
    "fine-tuning": NamedRecipe(
        "fine-tuning",
        Settings(
            sampling=1.0,
            label_smoothing=0.1,
            learning_rate=0.0005,
            weight_decay=0.02,
            schedule="cosine",
            warm_up=1.0,
            average=0.999,
            head_epochs=1,
            keep="last",
            geometry=1.0,
            colour=1.0,
            cutout=0.5,
            mixup=0.2,
            drift=0.5,
        ),
        epochs=20,
        batch_size=32,
    ),
}

SWITCHES = tuple(field.name for field in fields(Settings))
"""The names of all settings, which are also fields of the request of `train`."""


def choose(
    name: RecipeName | None,
    pretrained: bool,
    changes: Mapping[str, Any],
    epochs: int | None = None,
    batch_size: int | None = None,
) -> NamedRecipe:
    """The recipe that was asked for.

    Epochs of the head and of the warm-up that nobody asked for are cut to what a short fit has room for.

    Args:
        name: of the recipe; None: fine-tuning for a pre-trained network, otherwise plain.
        pretrained: whether the network starts from pre-trained weights.
        changes: settings that were asked for, by name; None or missing: as the recipe says.
        epochs: default: as the recipe says.
        batch_size: likewise.

    Raises:
        RequestError: the epochs asked for contradict each other, or a setting that does nothing was given.

    """
    recipe = NAMED[name or ("fine-tuning" if pretrained else "plain")]
    asked = {key: value for key, value in changes.items() if key in SWITCHES and value is not None}
    if "focal_gamma" in asked and asked.get("loss", recipe.settings.loss) != "focal":
        raise RequestError(
            f"--focal-gamma {asked['focal_gamma']:g} is of the focal loss: give --loss focal too"
        )
    settings = replace(recipe.settings, **asked)
    count = epochs or recipe.epochs
    head = settings.head_epochs if "head_epochs" in asked else min(settings.head_epochs, count - 1)
    if head >= count:
        raise RequestError(
            f"--head-epochs {head} leaves none of {count} epochs for the whole network; give more --epochs"
        )
    warm_up = settings.warm_up if "warm_up" in asked else min(settings.warm_up, (count - head) / 2)
    if warm_up > count - head:
        raise RequestError(
            f"--warm-up {warm_up:g} is longer than the {count - head} epochs after the head's; give fewer"
        )
    settings = replace(settings, head_epochs=head, warm_up=warm_up)
    return NamedRecipe(recipe.name, settings, count, batch_size or recipe.batch_size)


def in_words(settings: Settings) -> str:
    """What differs from the defaults, as `mixup 0.2, sampling 0`; `plain` if nothing does."""
    changed = [
        f"{field.name.replace('_', ' ')} {value:g}"
        if isinstance(value, int | float)
        else f"{field.name} {value}"
        for field in fields(Settings)
        if (value := getattr(settings, field.name)) != field.default
    ]
    return ", ".join(changed) or "plain"
