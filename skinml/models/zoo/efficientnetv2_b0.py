"""EfficientNetV2-B0 from keras.applications for images of 128 px: more to compute than any other here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skinml.images.preprocessing import IMAGENET_DEVIATION, IMAGENET_MEAN
from skinml.models.zoo.base import Download
from skinml.models.zoo.families.keras_applications import Scale, architecture

if TYPE_CHECKING:
    import keras

WEIGHTS = Download(
    source="https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b0_notop.h5",
    md5="893217f2bb855e2983157299931e43ff",
    licence="Apache-2.0",
)


def make(applications: Any, values: Any) -> keras.Model:
    """The network without preprocessing and head."""
    return applications.EfficientNetV2B0(
        input_tensor=values, include_top=False, weights=None, include_preprocessing=False
    )


def _of_colours(value: Any) -> Scale:
    """A number for red, green and blue."""
    red, green, blue = (
        value(mean, deviation) for mean, deviation in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)
    )
    return (red, green, blue)


ARCHITECTURE = architecture(
    "efficientnetv2-b0",
    make,
    scale=_of_colours(lambda mean, deviation: 1 / (255 * deviation)),
    offset=_of_colours(lambda mean, deviation: -mean / deviation),
    features="block2b_add",
    quantisable=("Conv",),
    weights=WEIGHTS,
)
