"""MobileNetV3-Small from keras.applications for images of 128 px: the least to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skinml.models.zoo.base import Download
from skinml.models.zoo.families.keras_applications import architecture

if TYPE_CHECKING:
    import keras

WEIGHTS = Download(
    source="https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
    "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    md5="d3e8ec802a04aa4fc771ee12a9a9b836",
    licence="Apache-2.0",
)


def make(applications: Any, values: Any) -> keras.Model:
    """The network without preprocessing and head."""
    return applications.MobileNetV3Small(
        input_tensor=values, include_top=False, weights=None, include_preprocessing=False
    )


ARCHITECTURE = architecture(
    "mobilenetv3-small",
    make,
    scale=1 / 127.5,
    offset=-1.0,
    features="expanded_conv_2_add",
    quantisable=("Conv",),
    weights=WEIGHTS,
)
