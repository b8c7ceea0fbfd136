"""Add an output to the network that says how unlike the training images an image is: `unlike_training`.

The Mahalanobis distance of the network's features to those of the training images (Lee et al., "A simple
unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018, who measure
it at several depths; one Gaussian for all classes does as well as one each: Kamoi & Kobayashi, "Why is the
Mahalanobis distance effective for anomaly detection?", arXiv:2003.00402, and so it was here).

The features are what the architecture names (`zoo.base.Architecture.features`): the channel means of a layer
whose outputs have places, or the outputs as they are. The fit's export gives them as the network's output
`features`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.models.inference import infer
from skinml.models.outputs import FEATURES_NAME

OUTPUT_NAME = "unlike_training"

_FEATURES = f"{OUTPUT_NAME}/features"
TO_KERAS, TO_ONNX = [0, 2, 3, 1], [0, 3, 1, 2]
"""Orders of dimensions: from channels first to channels last, and back."""

_AXES_ARE_INPUT = 18
"""The opset from which ReduceL2 takes its axes as an input."""


def add_outliers(path: Path, pixels: Iterable[NDArray[np.number]]) -> None:
    """Give the network at `path` the output `unlike_training`: float32 (batch,), 0 and more, larger less alike.

    Args:
        path: an ONNX file with the outputs `probabilities` and `features`; replaced by one that has
            `unlike_training` in the place of `features`.
        pixels: batches of the training images as the network takes them, (b, size, size, 3), of at least 2
            images in all.

    Raises:
        RunError: the network has no features, or they are not finite.

    """
    import onnx

    model = onnx.load(path)
    graph = model.graph
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    graph.node.extend(_feature_nodes(graph))
    graph.output.append(onnx.helper.make_tensor_value_info(_FEATURES, onnx.TensorProto.FLOAT, ["batch", None]))
    features = infer(model.SerializeToString(), pixels, [_FEATURES])[_FEATURES]
    graph.output.pop()

    mean, whitening = fit_gaussian(features)
    _append_distance(graph, mean.astype(np.float32), whitening.astype(np.float32), opset)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def fit_gaussian(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (d,) and whitening (d, d) of features (n, d): the distance of f is |(f - mean) @ whitening|.

    The covariance is scikit-learn's Ledoit-Wolf estimate: the fewer rows there are, the further it is drawn
    towards a multiple of the identity (Ledoit & Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices", J. Multivar. Anal. 88:365, 2004).

    Raises:
        RunError: there are less than 2 rows, or values that are not finite.

    """
    from sklearn.covariance import LedoitWolf  # here, because the base install has no scikit-learn

    if len(features) < 2 or not np.isfinite(features).all():
        raise RunError(
            f"no {OUTPUT_NAME} from the features of {len(features)} training images: at least 2 are needed,"
            " and all values finite; try another --seed"
        )
    shrunk = LedoitWolf(store_precision=False).fit(features)
    variances, axes = np.linalg.eigh(shrunk.covariance_)
    floor = max(float(variances.max()) * 1e-9, 1e-12)  # rounding may leave a zero negative
    return shrunk.location_, axes / np.sqrt(np.maximum(variances, floor))


def _feature_nodes(graph: Any) -> list[Any]:
    """Nodes that give the features, (batch, d), as _FEATURES, made of the output `features`, which goes."""
    from onnx import helper

    output = next((value for value in graph.output if value.name == FEATURES_NAME), None)
    if output is None:
        raise RunError(
            f"no features for {OUTPUT_NAME}: the network has no output {FEATURES_NAME!r}, only"
            f" {', '.join(value.name for value in graph.output)}; export it with its architecture's features"
        )
    graph.output.remove(output)
    if len(output.type.tensor_type.shape.dim) == 2:
        return [helper.make_node("Identity", [FEATURES_NAME], [_FEATURES], _FEATURES)]
    means = f"{OUTPUT_NAME}/means"
    return [
        helper.make_node("GlobalAveragePool", [_channels_first(graph)], [means], means),
        helper.make_node("Flatten", [means], [_FEATURES], _FEATURES),
    ]


def _channels_first(graph: Any) -> str:
    """The tensor (batch, c, h, w) that the output `features`, (batch, h, w, c), holds.

    The export turns ONNX's own order to Keras's for this output, and back for the layer that reads it. Both
    nodes are dropped, so that scoring does not pay for them.
    """
    from onnx import helper

    [made] = [node for node in graph.node if FEATURES_NAME in node.output]
    if not _is_turn(made, TO_KERAS):
        turned = f"{OUTPUT_NAME}/turned"
        graph.node.append(helper.make_node("Transpose", [FEATURES_NAME], [turned], turned, perm=TO_ONNX))
        return turned
    source = str(made.input[0])
    for node in [node for node in graph.node if FEATURES_NAME in node.input and _is_turn(node, TO_ONNX)]:
        for reader in graph.node:
            reader.input[:] = [source if name == node.output[0] else name for name in reader.input]
        graph.node.remove(node)
    if not any(FEATURES_NAME in node.input for node in graph.node):
        graph.node.remove(made)
    return source


def _is_turn(node: Any, order: list[int]) -> bool:
    """Whether a node does nothing but put the dimensions into this order."""
    return node.op_type == "Transpose" and list(node.attribute[0].ints) == order


def _append_distance(graph: Any, mean: NDArray[np.float32], whitening: NDArray[np.float32], opset: int) -> None:
    """Nodes from the features to their distance, float32 (batch,)."""
    from onnx import TensorProto, helper, numpy_helper

    names = {part: f"{OUTPUT_NAME}/{part}" for part in ("mean", "whitening", "axes", "centred", "whitened")}
    graph.initializer.append(numpy_helper.from_array(mean, names["mean"]))
    graph.initializer.append(numpy_helper.from_array(whitening, names["whitening"]))
    axes: dict[str, Any] = {"axes": [1]}
    inputs = [names["whitened"]]
    if opset >= _AXES_ARE_INPUT:
        graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), names["axes"]))
        axes, inputs = {}, [names["whitened"], names["axes"]]
    graph.node.extend(
        [
            helper.make_node("Sub", [_FEATURES, names["mean"]], [names["centred"]], names["centred"]),
            helper.make_node(
                "MatMul", [names["centred"], names["whitening"]], [names["whitened"]], names["whitened"]
            ),
            helper.make_node("ReduceL2", inputs, [OUTPUT_NAME], OUTPUT_NAME, keepdims=0, **axes),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["batch"]))
