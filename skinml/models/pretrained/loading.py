"""Put the weights of a file into a network, or say what the first layer is that they do not fit."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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

    A file with the weights of all layers sets them all. A file without the last layer, as ImageNet weights are,
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
    weights = _keras_member(data) if data.startswith(ZIP_START) else data
    if weights is not None and weights.startswith(HDF5_START):
        put_in_order(model, shape.name, _read_hdf5(weights, model, name), name)
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
        raise RequestError(
            f"{refusal}: it has {len(found)} layers, and {found[len(layers)][0]} is one too many"
        )
    for layer, (_, arrays) in zip(layers, found, strict=False):
        if not all(np.isfinite(array).all() for array in arrays):
            raise RequestError(
                f"{name}: the weights of layer {layer.name} are not all finite; give another file"
            )
        layer.set_weights(arrays)


def _shapes(arrays: Any) -> str:
    return ", ".join("x".join(map(str, array.shape)) or "one number" for array in arrays) or "no weights"


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


def _read_hdf5(data: bytes, model: keras.Model, name: str) -> NamedArrays:
    """Layers and weights of an HDF5 file as Keras writes it, in the order of the network."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data)) as file:
            group = file.get("model_weights", file)
            return _of_keras_2(group) if "layer_names" in group.attrs else _of_keras_3(file["layers"], model)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:  # h5py's
        raise RequestError(f"{name}: is no HDF5 file of a network's weights, or damaged: {error}") from error


def _of_keras_2(file: Any) -> NamedArrays:
    """Keras 1 and 2, and keras.applications: the file lists its layers in their order."""
    found = []
    for layer in map(_text, file.attrs["layer_names"]):
        weights = [np.asarray(file[layer][_text(weight)]) for weight in file[layer].attrs["weight_names"]]
        if weights:
            found.append((layer, weights))
    return found


def _of_keras_3(file: Any, model: keras.Model) -> NamedArrays:
    """Keras 3: a group a layer, called by its class and, from the second of a class on, a number."""
    numbers: Counter[str] = Counter()
    found: NamedArrays = []
    for layer in model.layers:
        kind = re.sub(
            "([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        ).lower()
        group = f"{kind}_{numbers[kind]}" if numbers[kind] else kind
        numbers[kind] += 1
        if layer.weights:
            found.append((group, _variables(file[group]) if group in file else []))
    others = sorted(name for name in set(file) - {name for name, _ in found} if _variables(file[name]))
    return [*found, *((name, _variables(file[name])) for name in others)]


def _variables(group: Any) -> list[NDArray[np.float32]]:
    return [np.asarray(group["vars"][str(number)]) for number in range(len(group["vars"]))]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
