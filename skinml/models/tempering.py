"""Put a temperature into a network, so that its probabilities leave it calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.temperature import SMALLEST, temper
from skinml.models.inference import infer
from skinml.models.outputs import FIRST_VIEW_NAME, OUTPUT_NAME

ROUNDING = 1e-5
"""The largest difference that float32 explains."""


def add_temperature(path: Path, temperature: float) -> None:
    """Divide the logarithms of the network's probabilities by a temperature, and make them sum to 1 again.

    The mean over several views is tempered as a whole: averaging tempered views would change the confidence
    once more (Rahaman & Thiery, "Uncertainty Quantification and Deep Ensembles", NeurIPS 2021, pool before they
    calibrate for that reason). No ranking and no predicted class changes.

    Args:
        path: an ONNX file with the output `probabilities`, and perhaps `first_view`; replaced.
        temperature: above 0; 1 changes nothing.

    """
    if temperature == 1:
        return
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    constants = {"smallest": SMALLEST, "inverse": 1 / temperature}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), f"temperature/{name}")
        for name, value in constants.items()
    )
    for output in (value.name for value in graph.output if value.name in (OUTPUT_NAME, FIRST_VIEW_NAME)):
        steps = [f"temperature/{output}/{step}" for step in ("before", "clipped", "logarithms", "divided")]
        before, clipped, logarithms, divided = steps
        for node in graph.node:
            for references in (node.input, node.output):
                references[:] = [before if name == output else name for name in references]
        graph.node.extend(
            [
                helper.make_node("Clip", [before, "temperature/smallest"], [clipped], clipped),
                helper.make_node("Log", [clipped], [logarithms], logarithms),
                helper.make_node("Mul", [logarithms, "temperature/inverse"], [divided], divided),
                helper.make_node("Softmax", [divided], [output], f"temperature/{output}", axis=-1),
            ]
        )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def check_tempered(
    path: Path, temperature: float, before: NDArray[np.float64], pixels: NDArray[np.float32]
) -> None:
    """Compare the graph's probabilities with the arithmetic that the temperature was fitted by.

    Args:
        path: the network after `add_temperature`.
        temperature: what it was given.
        before: what it gave for `pixels` before that, (n, 7).
        pixels: a few images as the network takes them, (n, size, size, 3).

    Raises:
        RunError: a probability differs by more than rounding explains.

    """
    found = infer(path, [pixels], [OUTPUT_NAME])[OUTPUT_NAME]
    difference = float(np.abs(found - temper(before, temperature)).max())
    if not difference <= ROUNDING:
        raise RunError(
            f"{path.name}: with temperature {temperature:.3f} a probability differs by {difference:.1e} from"
            " what the validation images were calibrated by, so it must not score; train with --calibration"
            " none"
        )
