"""The arithmetic a network can score in, fp32 or int8: what each was measured at, and whether it may score."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Precision = Literal["fp32", "int8"]

FILES: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model-int8.onnx"}
"""Where a bundle holds the network of each precision."""

LARGEST_DROP = 0.005
"""How far the balanced accuracy of int8 may lie below that of fp32 on the same images, for it to score."""


class Network(BaseModel):
    """A bundle's network in one precision, as it was measured on the test images when it was trained.

    Attributes:
        file: its name in the bundle; None where it could not be made.
        images: how many test images it was measured on.
        balanced_accuracy, macro_auc: as `training.metrics.measure` defines them.
        agreement: fraction of the images whose predicted class is that of fp32; None for fp32 itself.
        largest_difference: of any probability from fp32's; None for fp32 itself.
        allowed: whether it may score.
        failure: why it could not be made, in one line.

    """

    model_config = ConfigDict(frozen=True)

    file: str | None = None
    images: int = 0
    balanced_accuracy: float | None = None
    macro_auc: float | None = None
    agreement: float | None = None
    largest_difference: float | None = None
    allowed: bool = False
    failure: str | None = None


def may_score(fp32: Network, int8: Network) -> bool:
    """Whether the balanced accuracy of `int8` is close enough to that of `fp32`, on the same images."""
    if fp32.balanced_accuracy is None or int8.balanced_accuracy is None:
        return False
    drop = fp32.balanced_accuracy - int8.balanced_accuracy
    return drop <= LARGEST_DROP + 1e-12  # 0.705 - 0.7 is 0.00500000000000000444
