"""Files as torch.save writes them, made without PyTorch: pickle of stand-ins that have PyTorch's names."""

from __future__ import annotations

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from typing import Any

import pytest
from numpy.typing import NDArray

from skinml.models.pretrained.torch_file import MAGIC

KINDS = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "int64": "LongStorage",
    "float16": "HalfStorage",
}


class _Storage:
    def __init__(self, key: str, values: NDArray[Any]) -> None:
        self.key, self.values = key, values


class _Tensor:
    def __init__(
        self, storage: _Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
    ) -> None:
        self.parts: tuple[Any, ...] = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


def view(values: NDArray[Any], shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> _Tensor:
    """A tensor of any shape and strides (in elements) on these numbers."""
    return _Tensor(_Storage("0", values), shape, strides, offset)


def state_of(arrays: dict[str, NDArray[Any]]) -> OrderedDict[str, Any]:
    """A state dict of contiguous tensors."""
    state = OrderedDict()
    for number, (name, array) in enumerate(arrays.items()):
        strides = tuple(stride // array.itemsize for stride in array.strides)
        state[name] = _Tensor(_Storage(str(number), array.reshape(-1)), array.shape, strides, 0)
    return state


def write(state: Any, form: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file that holds this: form is legacy or zip."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_: Any) -> None:
        """Pickled by its name alone."""

    for module, name, thing in [(utils, "_rebuild_tensor_v2", _rebuild_tensor_v2)] + [
        (torch, kind, type(kind, (), {})) for kind in KINDS.values()
    ]:
        thing.__module__, thing.__qualname__ = module.__name__, name
        setattr(module, name, thing)
    storages: dict[str, _Storage] = {}

    class Writer(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, _Storage):
                return None
            storages[thing.key] = thing
            kind = getattr(torch, KINDS[str(thing.values.dtype)])
            return ("storage", kind, thing.key, "cpu", len(thing.values), *([None] if form == "legacy" else []))

    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "torch", torch)
        patched.setitem(sys.modules, "torch._utils", utils)
        pickled = io.BytesIO()
        Writer(pickled, protocol=2).dump(state)
    if form == "zip":
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("net/data.pkl", pickled.getvalue())
            archive.writestr("net/byteorder", "little")
            for key, storage in storages.items():
                archive.writestr(f"net/data/{key}", storage.values.tobytes())
        return whole.getvalue()
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, system)]
    parts += [pickled.getvalue(), pickle.dumps(sorted(storages), protocol=2)]
    for key in sorted(storages):
        values = storages[key].values
        parts += [len(values).to_bytes(8, "little"), values.tobytes()]
    return b"".join(parts)
