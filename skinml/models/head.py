"""The linear end of a network: which part of each logit comes from which cell of its last map.

Between the layer that an architecture names (`zoo.base.Architecture.cells`) and the softmax there are only
linear layers. So a logit is a sum over the cells of that layer and a bias, exactly: with global average pooling
this is the class activation map (Zhou et al., "Learning deep features for discriminative localization", CVPR
2016); with Flatten and dense layers each cell has weights of its own, and the same sum holds.

`models.keras_head` takes the weights from a Keras model. Nothing here needs Keras.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.labels import DIAGNOSES

SOFTMAX_LIMIT = 1e-4
"""The largest difference between the network's probabilities and those of cells and head."""


@dataclass(frozen=True, eq=False)
class Head:
    """Weights from cells to logits.

    Attributes:
        weights: float64 (h, w, c, 7); h and w are 1 if all cells have the same weights (average pooling, whose
            division by the number of cells is in them).
        bias: float64 (7,).

    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def contributions(self, cells: NDArray[np.floating]) -> NDArray[np.float64]:
        """What each cell adds to each logit.

        Args:
            cells: the network's output `cells`, float (n, h, w, c).

        Returns:
            float64 (n, h, w, 7). Their sum over the cells, plus the bias, is the logit.

        Raises:
            RunError: the head is not of such cells.

        Example:
            >>> head = Head(np.ones((1, 1, 2, 7)) / 4, np.zeros(7))
            >>> head.contributions(np.full((1, 2, 2, 2), 3.0))[0, :, :, 4].tolist()
            [[1.5, 1.5], [1.5, 1.5]]
        """
        height, width, channels, _ = self.weights.shape
        if cells.ndim != 4 or cells.shape[3] != channels or (height, width) not in ((1, 1), cells.shape[1:3]):
            raise RunError(
                f"the head has weights for {self.weights.shape[:3]} cells, not for {cells.shape[1:]}"
            )
        weights = np.broadcast_to(self.weights, (*cells.shape[1:3], *self.weights.shape[2:]))
        found: NDArray[np.float64] = np.einsum("nhwc,hwck->nhwk", cells.astype(np.float64), weights)
        return found

    def tempered(self, temperature: float) -> Head:
        """The head whose softmax gives the probabilities at this temperature (`evaluation.temperature`)."""
        return Head(self.weights / temperature, self.bias / temperature)

    def logits(self, cells: NDArray[np.floating]) -> NDArray[np.float64]:
        """The logits, float64 (n, 7)."""
        total: NDArray[np.float64] = self.contributions(cells).sum(axis=(1, 2)) + self.bias
        return total


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of logits, float64 (n, 7)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return found


def write_head(path: Path, head: Head) -> None:
    """Write a head as an .npz file of two float32 arrays, without pickle."""
    np.savez(path, weights=head.weights.astype(np.float32), bias=head.bias.astype(np.float32))


def parse_head(data: bytes, version: str) -> Head:
    """Read what `write_head` wrote.

    Raises:
        RunError: it is none, or its shapes are not those of seven classes.

    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            head = Head(arrays["weights"].astype(np.float64), arrays["bias"].astype(np.float64))
    except Exception as error:  # np.load raises whatever zipfile and its own parsers meet
        raise RunError(f"model {version}: its file of head weights cannot be read: {error}") from error
    classes = len(DIAGNOSES)
    if head.weights.ndim != 4 or head.weights.shape[3] != classes or head.bias.shape != (classes,):
        raise RunError(
            f"model {version}: its head weights have shape {head.weights.shape}, not (h, w, c, {classes})"
        )
    if not (np.isfinite(head.weights).all() and np.isfinite(head.bias).all()):
        raise RunError(f"model {version}: its head weights are not finite")
    return head


def check_head(head: Head, cells: NDArray[np.floating], probabilities: NDArray[np.floating]) -> None:
    """Refuse a head that does not give the network's probabilities (n, 7) from its cells (n, h, w, c).

    Raises:
        RunError: a probability differs by more than SOFTMAX_LIMIT.

    """
    difference = float(np.abs(softmax(head.logits(cells)) - probabilities).max())
    if not difference <= SOFTMAX_LIMIT:
        raise RunError(
            f"cells and head give other probabilities than the network, by {difference:.1e}: the architecture's"
            " cells are not what its probabilities are made of; name another layer, or none"
        )
