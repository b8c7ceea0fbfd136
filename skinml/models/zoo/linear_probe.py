"""Logistic regression on the features of ImageNet's EfficientNet-Lite0: what every other model must beat.

Only the last layer is fitted (`training.probe`), in minutes on a CPU. There is no dropout before it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from skinml.models.zoo.efficientnet_lite0 import ARCHITECTURE as BACKBONE
from skinml.models.zoo.efficientnet_lite0 import SCALE
from skinml.models.zoo.families.efficientnet_lite import build

ARCHITECTURE = replace(
    BACKBONE,
    name="linear-probe",
    build=partial(build, SCALE, dropout=False),
    frozen=True,
)
