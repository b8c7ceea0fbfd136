"""The network of a model version, with the outputs that explaining needs beside those of scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from skinml.images.preprocessing import Normalisation, network_input
from skinml.models import registry
from skinml.models.allowed import network_file
from skinml.models.bundle import HEAD, NETWORKS
from skinml.models.calls import call, views_of
from skinml.models.external_data import check_whole
from skinml.models.head import check_head, parse_head
from skinml.models.manifest import Manifest
from skinml.models.outputs import CELLS_NAME, FIRST_VIEW_NAME, OUTPUT_NAME

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, eq=False)
class Activation:
    """A class activation map: what each cell adds to the score of a diagnosis.

    The score is the logit minus the mean of the seven logits: adding one number to all logits changes no
    probability, so only differences mean something.

    Attributes:
        cells: float64 (h, w), of the diagnosis.
        bias: what does not depend on the image.
        score: log of the diagnosis's probability minus the mean of the seven logs: the sum of cells and bias.

    """

    cells: NDArray[np.float64]
    bias: float
    score: float


@dataclass(frozen=True, eq=False)
class Network:
    """A loaded network, and how pixels reach it."""

    session: InferenceSession
    normalisation: Normalisation

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities (n, 7) of pixels, uint8 (n, size, size, 3)."""
        return self._run(OUTPUT_NAME, pixels).astype(np.float64)

    @property
    def views(self) -> int:
        """How many views of an image its probabilities are the mean of."""
        return views_of(self.session)

    def first_view(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities (n, 7) of the pixels as they are, which `cells` are of too."""
        return self._run(OUTPUT_NAME if self.views == 1 else FIRST_VIEW_NAME, pixels).astype(np.float64)

    def cells(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The last map, float32 (n, h, w, c); None if the network does not give it out."""
        if CELLS_NAME not in {output.name for output in self.session.get_outputs()}:
            return None
        return self._run(CELLS_NAME, pixels)

    def _run(self, output: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = call(self.session, [output], network_input(pixels, self.normalisation))[0]
        return found


def open_network(workspace: str, manifest: Manifest, precision: Literal["fp32", "int8"]) -> Network:
    """Load a bundle's network.

    Raises:
        RequestError: the file is not the one that was registered, or there is none in this precision.

    """
    import onnxruntime

    file = NETWORKS["fp32"] if precision == "fp32" else network_file(manifest, precision)
    data = registry.read_verified(workspace, manifest, file)
    check_whole(data, file)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return Network(session, manifest.pixels().normalisation)


def activation_map(
    workspace: str,
    manifest: Manifest,
    cells: NDArray[np.float32],
    probabilities: NDArray[np.float64],
    label: int,
) -> Activation:
    """The class activation map of one image.

    Args:
        workspace: normalised URL.
        manifest: of the model version.
        cells: the network's last map, (1, h, w, c).
        probabilities: what the network gives for the view that the cells are of, (1, 7): cells and head must
            give the same, at the temperature that the manifest records.
        label: number of the diagnosis.

    Raises:
        SkinmlError: the bundle has no head, or it is not of this network.

    """
    head = parse_head(registry.read_verified(workspace, manifest, HEAD), manifest.version)
    head = head.tempered(manifest.temperature("fp32"))
    check_head(head, cells, probabilities)
    parts, bias = head.contributions(cells)[0], head.bias
    of_label = (parts - parts.mean(axis=-1, keepdims=True))[..., label]
    own_bias = float(bias[label] - bias.mean())
    return Activation(of_label, own_bias, float(of_label.sum() + own_bias))
