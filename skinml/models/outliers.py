"""How unlike the training images an image is, as a second output of the network: `unlike_training`.

The Mahalanobis distance of the network's features to those of the training images (Lee et al., "A simple
unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018, who measure
it at several depths; one Gaussian for all classes does as well as one each: Kamoi & Kobayashi, "Why is the
Mahalanobis distance effective for anomaly detection?", arXiv:2003.00402, and so it was here).

The features are the channel means of what the second convolution reads, not what the last dense layer reads.
On the thesis's network fitted on HAM10000, with 1 % of held-out images flagged, the early ones flagged all of
noise, black and white frames, drawn text, drawn scenes and inverted images; the late ones none of noise, frames
and text, 9 % of the inverted and 75 % of the scenes: what the classes do not differ by is gone by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.models.inference import infer

OUTPUT_NAME = "unlike_training"

_FEATURES = f"{OUTPUT_NAME}/features"
_AXES_ARE_INPUT = 18
"""The opset from which ReduceL2 takes its axes as an input."""


def add_outliers(path: Path, pixels: Iterable[NDArray[np.uint8]]) -> None:
    """Give the network at `path` the output `unlike_training`: float32 (batch,), 0 and more, larger less alike.

    Args:
        path: an ONNX file with one output, the probabilities; replaced.
        pixels: batches of the training images, uint8 (b, size, size, 3), of at least 2 images in all.

    Raises:
        RunError: no features are found in the graph, or they are not finite.

    """
    import onnx

    model = onnx.load(path)
    graph = model.graph
    graph.node.extend(_feature_nodes(graph))
    graph.output.append(onnx.helper.make_tensor_value_info(_FEATURES, onnx.TensorProto.FLOAT, ["batch", None]))
    features = infer(model.SerializeToString(), pixels, [_FEATURES])[_FEATURES]
    graph.output.pop()

    mean, whitening = fit_gaussian(features)
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
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
    """Nodes that give the features, (batch, d), as _FEATURES."""
    from onnx import helper

    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if len(convolutions) < 2:
        return [helper.make_node("Flatten", [_last_dense_input(graph)], [_FEATURES], _FEATURES)]
    means = f"{OUTPUT_NAME}/means"
    return [
        helper.make_node("GlobalAveragePool", [convolutions[1].input[0]], [means], means),
        helper.make_node("Flatten", [means], [_FEATURES], _FEATURES),
    ]


def _last_dense_input(graph: Any) -> str:
    """What the dense layer before the softmax reads."""
    made_by = {output: node for node in graph.node for output in node.output}
    walked = []
    tensor = graph.output[0].name
    for expected in ({"Softmax"}, {"Add", "Gemm", "MatMul"}, {"MatMul"}):
        node = made_by.get(tensor)
        walked.append(node.op_type if node is not None else "an input")
        if node is None or node.op_type not in expected:
            break
        if node.op_type in {"Gemm", "MatMul"}:
            return str(node.input[0])
        tensor = next((name for name in node.input if name in made_by), "")  # the other one is the bias
    raise RunError(
        f"no features for {OUTPUT_NAME}: the graph has no two convolutions and ends, read backwards, in"
        f" {', '.join(walked)}, not in a softmax of a dense layer"
    )


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
