"""Run an ONNX network on many images in training: all cores, small batches, selected outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    name = session.get_inputs()[0].name
    found = [session.run(list(outputs), {name: batch.astype(np.float32, copy=False)}) for batch in pixels]
    columns = zip(*found, strict=True)
    return {
        output: np.concatenate(values).astype(np.float64)
        for output, values in zip(outputs, columns, strict=True)
    }
