"""Run an ONNX network on many images in training: all cores, small batches, selected outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.models.calls import call
from skinml.models.outputs import CELLS_NAME

BATCH = 32
"""Images a call: activations stay in the cache, and memory is the same for ten images and ten million."""


def infer(
    network: Path | bytes, pixels: Iterable[NDArray[np.number]], outputs: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """What a network gives for images.

    Args:
        network: a file, or its bytes.
        pixels: batches of images as the network takes them, (b, size, size, 3), at least one.
        outputs: names of outputs whose first dimension counts the images.

    Returns:
        For each output its values of all images, float64 (n, ...).

    """
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    found = [call(session, outputs, batch.astype(np.float32, copy=False)) for batch in pixels]
    columns = zip(*found, strict=True)
    return {
        output: np.concatenate(values).astype(np.float64)
        for output, values in zip(outputs, columns, strict=True)
    }


def mean_cells(network: Path | bytes, pixels: Iterable[NDArray[np.number]]) -> NDArray[np.float64]:
    """The features of images that `explain` compares: the network's output `cells`, averaged over the places.

    Args:
        network: a file, or its bytes, with the output `cells`.
        pixels: as of `infer`.

    Returns:
        float64 (n, channels).

    """
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    found = []
    for batch in pixels:  # averaged batch by batch: 20,000 images have 3 GB of cells in a network of 128 px
        [cells] = call(session, [CELLS_NAME], batch.astype(np.float32, copy=False))
        found.append(cells.mean(axis=(1, 2), dtype=np.float64))
    return np.concatenate(found)
