"""Load a network for scoring after checking its hash, and run it on batches of pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skinml.images.preprocessing import Normalisation, network_input
from skinml.models.calls import call
from skinml.models.external_data import check_whole
from skinml.models.registry import check_sha256
from skinml.storage.objects import read_bytes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


SCORED = ("probabilities", "unlike_training")
"""The outputs that scoring reads; others, such as `cells`, are for explaining."""


@lru_cache(maxsize=2)
def load_session(url: str, sha256: str) -> InferenceSession:
    """Check the network's hash and load it, once per worker process; it runs in one thread, like the worker."""
    import onnxruntime

    data = read_bytes(url)
    check_sha256(data, sha256, url)
    check_whole(data, url)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def predict(
    session: InferenceSession, pixels: NDArray[np.uint8], normalisation: Normalisation = "raw"
) -> dict[str, NDArray[np.float64]]:
    """Run the network on pixels, uint8 (n, size, size, 3), 0 to 255.

    Returns:
        `probabilities`, float64 (n, 7), rows sum to 1; and if the network has that output, `unlike_training`,
        float64 (n,), at least 0.
    """
    names = [output.name for output in session.get_outputs() if output.name in SCORED]
    found = call(session, names, network_input(pixels, normalisation))
    return {name: values.astype(np.float64) for name, values in zip(names, found, strict=True)}
