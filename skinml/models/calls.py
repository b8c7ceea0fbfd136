"""Run a loaded network on a batch; one of several views in parts, so that memory stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.models.outputs import VIEWS_KEY

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def views_of(session: InferenceSession) -> int:
    """How many views of each image the network makes of itself (`models.views`): 1 without that entry."""
    return int(session.get_modelmeta().custom_metadata_map.get(VIEWS_KEY, 1))


def call(session: InferenceSession, outputs: Sequence[str], values: NDArray[np.float32]) -> list[NDArray[Any]]:
    """What the network gives for a batch.

    A network of v views has v times as many activations. It gets the batch in v parts, so a call holds no more
    of them than one of a network without views (at least one image's v views).

    Args:
        session: the loaded network.
        outputs: names of outputs whose first dimension counts the images.
        values: images as the network takes them, float32 (n, size, size, 3), n at least 1.

    Returns:
        For each output its values of all images, (n, ...).

    """
    name, views = session.get_inputs()[0].name, views_of(session)
    if views == 1:
        found: list[NDArray[Any]] = session.run(list(outputs), {name: values})
        return found
    step = max(1, len(values) // views)
    starts = range(0, len(values), step)
    parts = [session.run(list(outputs), {name: values[start : start + step]}) for start in starts]
    return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]
