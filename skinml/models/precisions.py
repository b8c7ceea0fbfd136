"""The arithmetic a network can score in, fp32 or int8: what each was measured at, and which file it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from skinml.errors import RequestError

if TYPE_CHECKING:
    from skinml.models.manifest import Manifest

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


def network_file(manifest: Manifest, precision: Precision) -> str:
    """The bundle's file that scores in this precision.

    Raises:
        RequestError: the bundle has none (it is older, or quantising failed), or it was measured to lose more
            than LARGEST_DROP of balanced accuracy; in one line, with what was measured.

    """
    network = manifest.precisions.get(precision)
    if network is None and precision == "fp32":
        network = Network(file=FILES["fp32"], allowed=True)  # a bundle from before there were two
    refusal = f"--precision {precision}: model {manifest.version}"
    advice = "score with --precision fp32" if precision == "int8" else "choose another --model"
    if network is None:
        raise RequestError(f"{refusal} has no such network, it is from before there was one; {advice}")
    if network.file is None:
        raise RequestError(f"{refusal} has no such network: {network.failure}; {advice}")
    if not network.allowed:
        raise RequestError(f"{refusal} may not score so: {_loss(manifest, network)}; {advice}")
    if network.file not in manifest.files:
        raise RequestError(f"{refusal}: its manifest names no {network.file}; {advice}")
    return network.file


def may_score(fp32: Network, int8: Network) -> bool:
    """Whether the balanced accuracy of `int8` is close enough to that of `fp32`, on the same images."""
    if fp32.balanced_accuracy is None or int8.balanced_accuracy is None:
        return False
    drop = fp32.balanced_accuracy - int8.balanced_accuracy
    return drop <= LARGEST_DROP + 1e-12  # 0.705 - 0.7 is 0.00500000000000000444


def _loss(manifest: Manifest, network: Network) -> str:
    """What a network loses against fp32, in words."""
    fp32 = manifest.precisions.get("fp32")
    before = fp32.balanced_accuracy if fp32 is not None else None
    return (
        f"its balanced accuracy is {_shown(network.balanced_accuracy)} against {_shown(before)} in fp32"
        f" on {network.images} test images, a drop of more than {LARGEST_DROP}"
    )


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
