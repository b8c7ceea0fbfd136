"""Small networks as ONNX files, made without Keras: what an export of the zoo's kind looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE = 12


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth reddish images, uint8 (count, SIZE, SIZE, 3)."""
    generator = np.random.default_rng(seed)
    coarse = generator.normal((190, 130, 120), 25, (count, 4, 4, 3)).repeat(3, axis=1).repeat(3, axis=2)
    fine = generator.normal(0, 4, (count, SIZE, SIZE, 3))
    return (coarse + fine).clip(0, 255).astype(np.uint8)


def write_network(path: Path, features: str = "features1", opset: int = 15, cells: bool = False) -> Path:
    """A network with weights of its own: two convolutions, channel means, a dense layer and a softmax.

    Args:
        path: where to.
        features: the tensor that its output `features` shows: "features1", between the convolutions, turned as
            Keras's export does; "flat", what the dense layer reads; "" for none.
        opset: of the graph.
        cells: whether it has the output `cells`: what the channel means are of.

    """
    generator = np.random.default_rng(1)
    constants: dict[str, NDArray[np.float32]] = {"scale": np.array(1 / 255, np.float32)}
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["features0"], perm=[0, 3, 1, 2]),
    ]
    channels = 3
    for number in range(2):
        weights = generator.normal(0, 0.4, (8, channels, 3, 3)).astype(np.float32)
        constants |= {f"kernel{number}": weights, f"shift{number}": np.full(8, 0.1, np.float32)}
        names = [f"features{number}", f"kernel{number}", f"shift{number}"]
        nodes += [
            helper.make_node("Conv", names, [f"convolved{number}"], f"conv{number}", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"convolved{number}"], [f"features{number + 1}"]),
        ]
        channels = 8
    constants |= {
        "dense": generator.normal(0, 1, (channels, 7)).astype(np.float32),
        "bias": generator.normal(0, 0.1, 7).astype(np.float32),
    }
    nodes += [
        helper.make_node("GlobalAveragePool", ["features2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
    ]
    nodes += [
        helper.make_node("MatMul", ["flat", "dense"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    outputs: dict[str, list[str | int]] = {"probabilities": ["batch", 7]}
    if features == "flat":
        nodes.append(helper.make_node("Identity", ["flat"], ["features"]))
        outputs["features"] = ["batch", channels]
    elif features:
        nodes.append(helper.make_node("Transpose", [features], ["features"], perm=[0, 2, 3, 1]))
        outputs["features"] = ["batch", SIZE, SIZE, channels]
    if cells:
        nodes.append(helper.make_node("Transpose", ["features2"], ["cells"], perm=[0, 2, 3, 1]))
        outputs["cells"] = ["batch", SIZE, SIZE, channels]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path
