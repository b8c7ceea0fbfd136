"""The part of a model card on views, teachers, temperature and operating threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skinml.models.calibrated import say_calibration, say_operating
from skinml.models.precisions import Network
from skinml.report.card import NOT_REPORTED, Block, Item


def finished_items(fields: Mapping[str, Any]) -> list[Item]:
    """Items on views, teachers, calibration and operating threshold.

    Args:
        fields: of the manifest: `views`, `teachers`, and `precisions` as networks or plain data. Older ones
            have none of them.

    """
    networks = {
        name: one if isinstance(one, Network) else Network.model_validate(one)
        for name, one in (fields.get("precisions") or {}).items()
    }
    calibrated = [
        f"{name}: {say_calibration(one.calibration)}."
        for name, one in networks.items()
        if one.calibration is not None
    ]
    chosen = [
        f"{name}: {say_operating(one.operating_point)}."
        for name, one in networks.items()
        if one.operating_point is not None
    ]
    rule: list[Block] = (
        [
            "Whoever calls an image malignant by p_malignant needs a threshold. This one is not used by the"
            " predicted diagnosis, which is the likeliest of seven."
        ]
        if chosen
        else []
    )
    return [
        Item("Views", [_views(int(fields.get("views", 1)))]),
        Item("Teachers", [_teachers(fields)]),
        Item("Calibration by temperature", calibrated or [NOT_REPORTED]),
        Item("Operating threshold", [*rule, *chosen] if chosen else [NOT_REPORTED]),
    ]


def _teachers(fields: Mapping[str, Any]) -> str:
    teachers = fields.get("teachers") or []
    if not teachers:
        return "None: it learnt from labels alone."
    names = ", ".join(f"{one['name']} {one['version']}" for one in teachers)
    weight = fields["parameters"]["distill_weight"]
    return (
        f"It learnt from the labels and from the mean probabilities of {names}, which had a weight of"
        f" {weight:g}. None of them was fitted on a lesion that is held out here."
    )


def _views(views: int) -> str:
    if views == 1:
        return "The network looks at each image once, as it is."
    return (
        f"The probabilities are the mean of {views} views of each image, mirrored and turned. Scoring takes the"
        f" network {views} times as long for it. Distance from training images and class activation map are of"
        " the image as it is."
    )
