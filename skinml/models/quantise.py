"""Quantise a network to int8, calibrated on training images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.models.outliers import OUTPUT_NAME as OUTLIERS
from skinml.models.outputs import INPUT_NAME

CALIBRATION_PER_CLASS = 96
"""Training images of each diagnosis that the ranges of activations are taken from. 32, 96 and 192 gave the same
agreement with fp32 within the scatter of the seeds."""


def calibration_positions(labels: NDArray[np.int64], train: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Training images to calibrate on: up to CALIBRATION_PER_CLASS of each class, each once, by `seed` alone.

    Args:
        labels: class numbers of all positions, shape (n,).
        train: positions fitted on, shape (k,); repeats do not count.
        seed: the fit's seed.

    Returns:
        Positions, in mixed order.

    """
    generator = np.random.default_rng([seed, CALIBRATION_PER_CLASS])
    shuffled = generator.permutation(np.unique(train))
    chosen = [shuffled[labels[shuffled] == number][:CALIBRATION_PER_CLASS] for number in range(len(DIAGNOSES))]
    return generator.permutation(np.concatenate(chosen))


def quantise(
    source: Path, target: Path, pixels: Iterable[NDArray[np.number]], operators: Sequence[str]
) -> None:
    """Write the network at `source` to `target` with these operators in 8-bit integers; all else as it is.

    Weights: int8 for each channel, symmetric, in 7 of their 8 bits (`reduce_range`). Processors without VNNI
    (AVX2, the first AVX-512) add pairs of products in 16 bits, where 2 x 255 x 128 overflows and 2 x 255 x 64
    does not: with 8 bits the same file would give other probabilities there. Activations: uint8, from the
    smallest to the largest value that the calibration images give.

    Args:
        source: an ONNX file.
        target: an ONNX file, replaced.
        pixels: batches of training images as the network takes them, (b, size, size, 3).
        operators: of ONNX, such as Conv: what the architecture says may be quantised, at least one.

    Raises:
        ValueError: there are no operators.
        Exception: whatever onnxruntime's quantisation says of a graph it cannot do.

    """
    if not operators:
        raise ValueError("the architecture names no operators that may be quantised")
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    network = onnx.load(source)
    fold_scales(network.graph)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        """The interface that the calibration asks for."""

        def __init__(self) -> None:
            self._batches = iter(pixels)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT_NAME: batch.astype(np.float32, copy=False)}

    quantize_static(
        network,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(operators),
        nodes_to_exclude=[node.name for node in network.graph.node if node.name.startswith(OUTLIERS)],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def fold_scales(graph: Any) -> None:
    """Put a factor and a shift of each channel behind a convolution into its weights, in place.

    Batch normalisation behind a depthwise convolution is exported so. In 8 bits, each such step between the
    convolution and its activation would cost a rounding and the time of a whole pass.

    Args:
        graph: of an ONNX model.

    """
    from onnx import numpy_helper

    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    readers: dict[str, list[Any]] = {output.name: [None] for output in graph.output}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for convolution in [node for node in graph.node if node.op_type == "Conv"]:
        weights, *rest = (constants[name] for name in convolution.input[1:])
        bias = rest[0] if rest else np.zeros(len(weights), np.float32)
        steps = _steps(convolution, readers, constants, len(weights))
        for node, values in steps:
            if node.op_type == "Mul":
                weights, bias = weights * values[:, None, None, None], bias * values
            else:
                bias = bias + values
            convolution.output[0] = node.output[0]
            graph.node.remove(node)
        if steps:
            names = [f"{convolution.name}/{part}" for part in ("folded_weights", "folded_bias")]
            for name, array in zip(names, (weights, bias), strict=True):
                graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
            convolution.input[:] = [convolution.input[0], *names]
    read = {name for node in graph.node for name in node.input}
    for constant in [constant for constant in graph.initializer if constant.name not in read]:
        graph.initializer.remove(constant)


def _steps(
    convolution: Any, readers: dict[str, list[Any]], constants: dict[str, NDArray[Any]], channels: int
) -> list[tuple[Any, NDArray[np.float32]]]:
    """The nodes behind a convolution that multiply or add one number a channel, and these numbers."""
    found: list[tuple[Any, NDArray[np.float32]]] = []
    output = convolution.output[0]
    while len(reading := readers.get(output, [])) == 1 and reading[0] is not None:
        [node] = reading
        others = [constants[name] for name in node.input if name != output and name in constants]
        if node.op_type not in ("Mul", "Add") or len(others) != 1:
            break
        if others[0].shape not in {(1, channels, 1, 1), (channels, 1, 1)}:
            break
        found.append((node, others[0].reshape(-1)))
        output = node.output[0]
    return found
