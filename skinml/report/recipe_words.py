"""The settings of a fit in the words of the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def drawn(settings: Mapping[str, Any]) -> str:
    """How an epoch draws its images. Versions without recorded settings drew classes equally often."""
    sampling = settings.get("sampling", 1.0)
    if sampling == 1:
        return "each epoch draws equally many training images of each diagnosis, those of rare ones repeatedly"
    if sampling == 0:
        return "each epoch takes every training image once"
    return f"each epoch draws training images with a weight of (images of their diagnosis)^-{sampling:g}"


def kept(settings: Mapping[str, Any], best_epoch: int) -> str:
    """Whose weights were kept."""
    if settings.get("keep") == "last":
        return f"those of epoch {best_epoch}, the last"
    return f"those of epoch {best_epoch}, the best on validation lesions"


def optimised(settings: Mapping[str, Any]) -> str:
    """The optimiser and the loss."""
    loss = "categorical cross-entropy"
    if settings.get("loss") == "focal":
        loss = f"focal loss, gamma {settings['focal_gamma']:g}"
    parts = ["AdamW" if settings.get("weight_decay") else "Adam", loss]
    for name, words in (
        ("learning_rate", "learning rate {:g}"),
        ("weight_decay", "weight decay {:g}"),
        ("warm_up", "{:g} epochs of warm-up"),
        ("head_epochs", "{:g} epochs of the last layer alone first"),
        ("label_smoothing", "label smoothing {:g}"),
        ("class_weights", "class weights share^-{:g}"),
        ("logit_adjustment", "logit adjustment {:g}"),
        ("average", "moving average of weights {:g}"),
        ("patience", "early stopping after {:g} epochs without gain"),
    ):
        if settings.get(name):
            parts.append(words.format(settings[name]))
    if settings.get("schedule") == "cosine":
        parts.append("cosine schedule")
    if settings.get("precision", "float32") != "float32":
        parts.append(f"computed in {settings['precision']}")
    return ", ".join(parts)


def augmented(settings: Mapping[str, Any]) -> str:
    """What was changed in training images at random."""
    parts = [
        words.format(settings[name])
        for name, words in (
            ("geometry", "flips, rotation, scale and shift (strength {:g})"),
            ("colour", "colour (strength {:g})"),
            ("cutout", "cutout (probability {:g})"),
            ("mixup", "mixup (alpha {:g})"),
            ("drift", "JPEG quality and resizers (probability {:g} each)"),
        )
        if settings.get(name)
    ]
    return f"augmentation: {', '.join(parts)}" if parts else "no augmentation"
