"""Export a Keras model to ONNX, and check that both give the same probabilities."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.labels import DIAGNOSES
from skinml.models.outputs import CELLS_NAME, FEATURES_NAME, INPUT_NAME, OUTPUT_NAME

if TYPE_CHECKING:
    import keras

PARITY_LIMIT = 1e-4
"""The largest difference of a probability, Keras against ONNX, that a model may be registered with."""


def export_onnx(model: keras.Model, path: Path, features: str | None = None, cells: str | None = None) -> None:
    """Write `model` to `path` as an ONNX graph that says what it takes and gives.

    One input `pixels`, float32 (batch, size, size, 3); the output `probabilities`, float32 (batch, 7); any
    batch size. Nothing is written unless the graph is so and passes ONNX's checker.

    Args:
        model: takes images and gives probabilities.
        path: where to.
        features: a layer whose outputs, (batch, h, w, c) or (batch, c), become a second output `features`.
        cells: a layer whose outputs, (batch, h, w, c), become a further output `cells`.

    Raises:
        RunError: the model has no such layer, or the graph has other inputs or outputs. (Constants become
            inputs with some layers: the Normalization in keras.applications' EfficientNetV2, for one.)

    """
    import onnx

    height, width, channels = model.input_shape[1:]
    outputs: list[tuple[int, ...]] = [(len(DIAGNOSES),)]
    layers = {
        name: layer for name, layer in ((FEATURES_NAME, features), (CELLS_NAME, cells)) if layer is not None
    }
    if layers:
        model, shapes = _with_outputs(model, layers)
        outputs += shapes
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
    _require("input", inputs, [(height, width, channels)])
    _require("output", list(graph.output), outputs)
    _rename(graph, inputs[0], INPUT_NAME)
    for output, name in zip(graph.output, (OUTPUT_NAME, *layers), strict=True):
        _rename(graph, output, name)
    onnx.checker.check_model(exported, full_check=True)  # also finds a reference the renaming missed
    onnx.save(exported, path)


def _with_outputs(model: keras.Model, layers: dict[str, str]) -> tuple[keras.Model, list[tuple[int, ...]]]:
    """The model with the outputs of these layers as further outputs, and their shapes without the batch."""
    import keras

    found = []
    for output, layer in layers.items():
        try:
            found.append(model.get_layer(layer).output)
        except ValueError as error:
            known = ", ".join(entry.name for entry in model.layers)
            raise RunError(f"the model has no layer {layer!r} to take {output} from; it has {known}") from error
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs  # Keras warns of a list of one
    return keras.Model(inputs, [model.outputs[0], *found]), [tuple(output.shape[1:]) for output in found]


def parity(model: keras.Model, path: Path, pixels: NDArray[np.number]) -> float:
    """The largest absolute difference of any probability between Keras and onnxruntime.

    Args:
        model: the Keras model.
        path: what `export_onnx` wrote of it.
        pixels: images to compare on as the network takes them, (n, size, size, 3), n at least 1.

    """
    import onnxruntime

    raw = pixels.astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ours = session.run([OUTPUT_NAME], {INPUT_NAME: raw})[0]
    return float(np.abs(ours - model.predict(raw, batch_size=64, verbose=0)).max())


def check_parity(model: keras.Model, path: Path, pixels: NDArray[np.number]) -> float:
    """`parity`, or a RunError where it is above PARITY_LIMIT or not a number."""
    difference = parity(model, path, pixels)
    if not difference <= PARITY_LIMIT:  # a NaN is no parity either
        raise RunError(
            f"{path.name} differs from Keras by {difference:.1e} in a probability on {len(pixels)} images,"
            f" more than {PARITY_LIMIT:.0e}: it must not score; another opset or layer is needed"
        )
    return difference


def _require(kind: str, values: list[Any], shapes: list[tuple[int, ...]]) -> None:
    """Exactly these float32 tensors of (batch, *shape), with batch left open."""
    expected = [f"float {['batch', *shape]}" for shape in shapes]
    found = [_described(value) for value in values]
    if found != expected:
        number = {1: "one", 2: "two", 3: "three"}[len(shapes)]
        noun = kind if len(shapes) == 1 else f"{kind}s"
        raise RunError(f"the exported graph should have {number} {noun}, {', '.join(expected)}; it has {found}")


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
