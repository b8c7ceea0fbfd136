"""Export a Keras model to ONNX, and prove that both give the same probabilities."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.labels import DIAGNOSES

if TYPE_CHECKING:
    import keras

INPUT_NAME = "pixels"
OUTPUT_NAME = "probabilities"

PARITY_LIMIT = 1e-4
"""The largest difference of a probability, Keras against ONNX, that a model may be registered with."""


def export_onnx(model: keras.Model, path: Path) -> None:
    """Write `model` to `path` as an ONNX graph that says what it takes and gives.

    One input `pixels`, float32 (batch, size, size, 3), raw values 0 to 255; one output `probabilities`,
    float32 (batch, 7); any batch size. Nothing is written unless the graph is so and passes ONNX's checker.

    Raises:
        RunError: the graph has other inputs or outputs. (Constants become inputs with some layers: the
            Normalization built into keras.applications' EfficientNetV2, for one.)

    """
    import onnx

    height, width, channels = model.input_shape[1:]
    model(np.zeros((1, height, width, channels), dtype=np.float32))  # Keras exports what was called once
    with tempfile.TemporaryDirectory(prefix="skinml-onnx-") as folder:
        raw = Path(folder) / "model.onnx"
        with warnings.catch_warnings():
            # keras.src.export.tf2onnx_lib asks for np.object to patch tf2onnx; NumPy 2 warns of the name.
            warnings.filterwarnings("ignore", message="In the future `np.object`", category=FutureWarning)
            model.export(str(raw), format="onnx", verbose=False)
        exported = onnx.load(raw)
    graph = exported.graph
    constants = {constant.name for constant in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    _require("input", inputs, (height, width, channels))
    _require("output", list(graph.output), (len(DIAGNOSES),))
    _rename(graph, inputs[0], INPUT_NAME)
    _rename(graph, graph.output[0], OUTPUT_NAME)
    onnx.checker.check_model(exported, full_check=True)  # also finds a reference the renaming missed
    onnx.save(exported, path)


def parity(model: keras.Model, path: Path, pixels: NDArray[np.uint8]) -> float:
    """The largest absolute difference of any probability between Keras and onnxruntime.

    Args:
        model: the Keras model.
        path: what `export_onnx` wrote of it.
        pixels: images to compare on, uint8 (n, size, size, 3), n at least 1.

    """
    import onnxruntime

    raw = pixels.astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ours = session.run([OUTPUT_NAME], {INPUT_NAME: raw})[0]
    return float(np.abs(ours - model.predict(raw, batch_size=64, verbose=0)).max())


def check_parity(model: keras.Model, path: Path, pixels: NDArray[np.uint8]) -> float:
    """`parity`, or a RunError where it is above PARITY_LIMIT or not a number."""
    difference = parity(model, path, pixels)
    if not difference <= PARITY_LIMIT:  # a NaN is no parity either
        raise RunError(
            f"{path.name} differs from Keras by {difference:.1e} in a probability on {len(pixels)} images,"
            f" more than {PARITY_LIMIT:.0e}: it must not score; another opset or layer is needed"
        )
    return difference


def _require(kind: str, values: list[Any], shape: tuple[int, ...]) -> None:
    """Exactly one float32 tensor of (batch, *shape), with batch left open."""
    expected = f"float {['batch', *shape]}"
    found = [_described(value) for value in values]
    if found != [expected]:
        raise RunError(f"the exported graph should have one {kind}, {expected}; it has {found}")


def _described(value: Any) -> str:
    """Type and shape of a tensor in words; a dimension left open is 'batch'."""
    import onnx

    tensor = value.type.tensor_type
    dimensions = [dimension.dim_value or "batch" for dimension in tensor.shape.dim]
    return f"{onnx.TensorProto.DataType.Name(tensor.elem_type).lower()} {dimensions}"


def _rename(graph: Any, value: Any, name: str) -> None:
    """Give an input or output of the graph this name, and its open first dimension the name batch."""
    for node in graph.node:
        for references in (node.input, node.output):
            references[:] = [name if reference == value.name else reference for reference in references]
    value.name = name
    value.type.tensor_type.shape.dim[0].dim_param = "batch"
