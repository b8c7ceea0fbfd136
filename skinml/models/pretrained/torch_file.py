"""Read the tensors of a PyTorch file without PyTorch, and without running anything that the file says.

`torch.save` writes pickle, and Python's own reader of pickle runs whatever a file names. This reader knows
OrderedDict, the two functions that rebuild tensors and the classes of storages, and refuses all other names.
Both forms are read: the one of PyTorch before 1.6 (five pickles, then the storages one after the other:
torch/serialization.py, `_legacy_load`), and the zip file of 1.6 and later (data.pkl and data/<key>).
"""

from __future__ import annotations

import io
import math
import pickle  # _Reader refuses every name but its own
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RequestError

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of the older form holds this number (torch/serialization.py, MAGIC_NUMBER)."""

LEGACY_START = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
"""The bytes that the older form begins with: that number by pickle's protocol 2."""

STORAGES: dict[str, str] = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
"""Classes of storages in `torch`, and the NumPy dtype of each."""

REBUILD = {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")}

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Storage:
    """Numbers that tensors are made of."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A tensor as part of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def is_torch_file(data: bytes) -> bool:
    """Whether the bytes begin as a PyTorch file of either form does."""
    if data.startswith(LEGACY_START):
        return True
    return data.startswith(b"PK\x03\x04") and _pickle_name(data) is not None


def read_tensors(data: bytes, name: str) -> Tensors:
    """The tensors of a state dict (names to tensors), in the file's order.

    Args:
        data: the whole file.
        name: what messages call it.

    Returns:
        For each name an array of the tensor's shape, in memory of its own.

    Raises:
        RequestError: it is no such file, it names anything but tensors, or it is cut off.

    """
    try:
        if data.startswith(LEGACY_START):
            found, storages = _read_legacy(data)
        else:
            found, storages = _read_zip(data)
        if not isinstance(found, Mapping):
            raise ValueError(f"it holds {type(found).__name__}, not names and their tensors")
        return {str(key): _array(key, value, storages) for key, value in found.items()}
    except RequestError:
        raise
    except Exception as error:  # pickle and zipfile raise whatever broken bytes lead them to
        raise RequestError(
            f"{name}: cannot be read as a PyTorch file of weights: {error}; give a file that torch.save has"
            " made of a state dict"
        ) from error


class _Reader(pickle.Unpickler):
    """Pickle's reader with four names and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in REBUILD:
            return _rebuild if name == "_rebuild_tensor_v2" else _rebuild_parameter
        if module == "torch" and name in STORAGES:
            return _StorageClass(STORAGES[name])
        raise ValueError(f"it names {module}.{name}, which is no tensor, and was not run")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or not isinstance(dtype, _StorageClass) or any(part is not None for part in view):
            raise ValueError("it refers to something that is no storage")
        return _Storage(str(key), dtype.dtype, int(count))


@dataclass(frozen=True)
class _StorageClass:
    """Stands for a class of storages."""

    dtype: str


def _rebuild(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise TypeError("it has a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


def _read_legacy(data: bytes) -> tuple[Any, Callable[[_Storage], bytes]]:
    """What the older form holds, and what gives the bytes of a storage."""
    stream = io.BytesIO(data)
    magic, version, system = (_Reader(stream).load() for _ in range(3))
    if magic != MAGIC or version != 1001 or system.get("little_endian") is not True:
        raise ValueError(f"protocol {version} is not known, or its numbers are big-endian")
    found = _Reader(stream).load()
    keys = _Reader(stream).load()
    sizes = {value.storage.key: value.storage for value in found.values() if isinstance(value, _Tensor)}
    parts: dict[str, bytes] = {}
    for key in keys:
        if key not in sizes:
            raise ValueError(f"storage {key} belongs to no tensor")
        storage = sizes[key]
        count = int.from_bytes(stream.read(8), "little")
        parts[key] = stream.read(count * np.dtype(storage.dtype).itemsize) if count == storage.count else b""
    return found, lambda storage: parts.get(storage.key, b"")


def _read_zip(data: bytes) -> tuple[Any, Callable[[_Storage], bytes]]:
    """The same of the newer form."""
    name = _pickle_name(data)
    if name is None:
        raise ValueError("it is no zip file with a data.pkl")
    archive = zipfile.ZipFile(io.BytesIO(data))
    folder = name.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("its numbers are big-endian")
    if any(entry.file_size > len(data) for entry in archive.infolist()):
        raise ValueError("it is compressed, which torch.save does not do")
    found = _Reader(io.BytesIO(archive.read(name))).load()
    return found, lambda storage: archive.read(f"{folder}data/{storage.key}")


def _pickle_name(data: bytes) -> str | None:
    """The name of data.pkl in a zip file, which lies in a folder; None if there is none."""
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        return None
    return next((name for name in names if name == "data.pkl" or name.endswith("/data.pkl")), None)


def _array(key: Any, tensor: Any, storages: Callable[[_Storage], bytes]) -> NDArray[Any]:
    """A tensor as an array, once it lies within its storage."""
    if not isinstance(tensor, _Tensor):
        raise TypeError(f"{key} is {type(tensor).__name__}, not a tensor")
    storage, dtype = tensor.storage, np.dtype(tensor.storage.dtype)
    data = storages(storage)
    if len(data) != storage.count * dtype.itemsize:
        raise ValueError(f"{key} is cut off: {len(data):,} of {storage.count * dtype.itemsize:,} bytes")
    count = math.prod(tensor.shape)
    if len(tensor.shape) != len(tensor.strides) or min((*tensor.shape, *tensor.strides, tensor.offset, 0)) < 0:
        raise ValueError(f"{key} has shape {tensor.shape} and strides {tensor.strides}")
    reach = sum((edge - 1) * stride for edge, stride in zip(tensor.shape, tensor.strides, strict=True))
    if count and (count > storage.count or tensor.offset + reach >= storage.count):
        raise ValueError(f"{key} of shape {tensor.shape} does not fit into its {storage.count:,} numbers")
    flat = np.frombuffer(data, dtype)
    strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return np.array(view)
