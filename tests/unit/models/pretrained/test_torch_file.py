"""Tests of skinml/models/pretrained/torch_file.py: tensors come out, and nothing else of the file is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skinml.errors import RequestError
from skinml.models.pretrained.torch_file import LEGACY_START, is_torch_file, read_tensors
from tests.unit.models.pretrained.torch_files import state_of, view, write

ARRAYS = {
    "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "half": np.array([1.5, -2.0], np.float16),
    "steps": np.array(7, np.int64),
}
FORMS = pytest.mark.parametrize("form", ["legacy", "zip"])


@FORMS
def test_tensors_are_read(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(state_of(ARRAYS), form, monkeypatch)
    assert is_torch_file(data)
    found = read_tensors(data, "net.pth")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@FORMS
def test_strides_and_offsets_are_followed(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(12, dtype=np.float32)
    data = write({"turned": view(values, (3, 2), (1, 4), offset=1)}, form, monkeypatch)
    np.testing.assert_array_equal(read_tensors(data, "net.pth")["turned"], [[1, 5], [2, 6], [3, 7]])


@FORMS
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((4, 4), (4, 1), 0), ((3,), (1,), 10), ((100, 100), (0, 0), 0), ((-1,), (1,), 0), ((2,), (1, 1), 0)],
    ids=["too many", "beyond the end", "one number repeated", "negative", "no stride for each edge"],
)
def test_a_tensor_outside_its_numbers_is_refused(
    form: str, shape: Any, strides: Any, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write({"bad": view(np.zeros(12, np.float32), shape, strides, offset)}, form, monkeypatch)
    with pytest.raises(RequestError, match=r"net.pth: cannot be read as a PyTorch file of weights: bad "):
        read_tensors(data, "net.pth")


class _Code:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@FORMS
def test_code_in_a_file_is_refused_and_not_run(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "was-run"
    data = write({"weights": _Code(trace)}, form, monkeypatch)
    with pytest.raises(RequestError, match=r"it names posix\.mkdir, which is no tensor, and was not run"):
        read_tensors(data, "net.pth")
    assert not trace.exists()


def test_what_is_cut_off_or_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(state_of(ARRAYS), "legacy", monkeypatch)
    for length in (len(whole) - 1, len(whole) // 2, len(LEGACY_START)):
        with pytest.raises(RequestError, match="cannot be read as a PyTorch file"):
            read_tensors(whole[:length], "net.pth")
    assert not is_torch_file(b"PK\x03\x04 but no zip file")
    for other in (b"", b"weights", pickle.dumps([1, 2]), write([1, 2], "legacy", monkeypatch)):
        with pytest.raises(RequestError, match="cannot be read as a PyTorch file"):
            read_tensors(other, "net.pth")
