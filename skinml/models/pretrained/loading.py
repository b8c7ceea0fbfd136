"""Put the weights of a file into a network, or say what the first layer is that they do not fit."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skinml.errors import RequestError
from skinml.models.zoo.base import Architecture, NamedArrays

if TYPE_CHECKING:
    import keras

HDF5_START = b"\x89HDF\r\n\x1a\n"
ZIP_START = b"PK\x03\x04"

KERAS_MEMBER = "model.weights.h5"
"""The weights in a .keras file. Nothing else of it is read: its config could name code to run."""

FORMS = "model.keras of a version, Keras's .weights.h5, or an .h5 file of keras.applications"
"""What is read for every architecture; some have a further form (`Architecture.convert`)."""


def put(model: keras.Model, shape: Architecture, data: bytes, name: str) -> None:
    """Put the weights of a file into a new model of an architecture.

    A file with the weights of all layers sets them all. A file without the last layer, such as ImageNet weights,
    leaves that one random.

    Args:
        model: what `shape.build()` has made.
        shape: its architecture.
        data: the file.
        name: what messages call it.

    Raises:
        RequestError: it is no file of weights, or of another architecture; the first layer that does not fit is
            named.

    """
    if data.startswith(ZIP_START) and (weights := _keras_member(data)) is not None:
        _load_keras(model, shape, weights, name)
    elif data.startswith(HDF5_START):
        legacy = _read_legacy(data, name)
        if legacy is None:
            _load_keras(model, shape, data, name)
        else:
            put_in_order(model, shape.name, legacy, name)
    elif shape.convert is not None:
        put_in_order(model, shape.name, shape.convert(data, name), name)
    else:
        raise RequestError(f"{name}: is no file of weights that {shape.name} can start from: give {FORMS}")


def put_in_order(model: keras.Model, architecture: str, found: NamedArrays, name: str) -> None:
    """Put arrays into the layers of a model that have weights, in their order; the last one may be missing.

    Args:
        model: the network.
        architecture: its name, for messages.
        found: what the file calls each layer, and its arrays.
        name: what messages call the file.

    Raises:
        RequestError: a layer has other shapes, or there are more or fewer layers.

    """
    layers = [layer for layer in model.layers if layer.weights]
    whole = len(found) == len(layers)
    refusal = f"{name}: is of another architecture than {architecture}"
    for number, layer in enumerate(layers if whole else layers[:-1]):
        expected = _shapes(layer.get_weights())
        if number == len(found):
            raise RequestError(f"{refusal}: it has {len(found)} layers, and none for {layer.name} {expected}")
        theirs, arrays = found[number]
        if _shapes(arrays) != expected:
            raise RequestError(
                f"{refusal}: layer {number + 1} with weights, {layer.name}, has {expected}, and there it is"
                f" {theirs} with {_shapes(arrays)}"
            )
    if len(found) > len(layers):
        raise RequestError(f"{refusal}: it has {len(found)} layers, and {found[len(layers)][0]} is one too many")
    for layer, (_, arrays) in zip(layers, found, strict=False):
        if not all(np.isfinite(array).all() for array in arrays):
            raise RequestError(f"{name}: the weights of layer {layer.name} are not all finite; give another file")
        layer.set_weights(arrays)


def _shapes(arrays: Any) -> str:
    return ", ".join("x".join(map(str, array.shape)) or "one number" for array in arrays)


def _keras_member(data: bytes) -> bytes | None:
    """The weights in a .keras file; None if it is another zip file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if KERAS_MEMBER not in archive.namelist():
                return None
            if archive.getinfo(KERAS_MEMBER).file_size > 20 * len(data):  # Keras does not compress it
                return None
            return archive.read(KERAS_MEMBER)
    except zipfile.BadZipFile:
        return None


def _read_legacy(data: bytes, name: str) -> NamedArrays | None:
    """Layers and weights of an HDF5 file of Keras 1 and 2, in its order; None if it is one of Keras 3."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data)) as file:
            group = file["model_weights"] if "model_weights" in file else file
            if "layer_names" not in group.attrs:
                return None
            found = []
            for layer in map(_text, group.attrs["layer_names"]):
                names = map(_text, group[layer].attrs["weight_names"])
                arrays = [np.asarray(group[layer][weight], np.float32) for weight in names]
                if arrays:
                    found.append((layer, arrays))
            return found
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:  # h5py's
        raise RequestError(f"{name}: is a damaged HDF5 file: {_line(error)}") from error


def _load_keras(model: keras.Model, shape: Architecture, weights: bytes, name: str) -> None:
    """Weights as Keras 3 saves them, of the whole network."""
    with tempfile.TemporaryDirectory(prefix="skinml-weights-") as folder:
        path = Path(folder, "start.weights.h5")
        path.write_bytes(weights)
        try:
            model.load_weights(path)
        except Exception as error:  # Keras and h5py raise many kinds; all say that the file does not fit
            raise RequestError(
                f"{name}: is of another architecture than {shape.name}, or damaged: {_line(error)}"
            ) from error
    for layer in model.layers:
        if not all(np.isfinite(array).all() for array in layer.get_weights()):
            raise RequestError(f"{name}: the weights of layer {layer.name} are not all finite; give another file")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
