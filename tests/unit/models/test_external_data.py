"""Tests of skinml/models/external_data.py: a network that names another file is not loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from skinml.errors import RequestError
from skinml.models.external_data import check_whole
from skinml.models.session import load_session
from tests.unit.models.networks import write_network


def _network(location: str) -> bytes:
    """A network whose weights lie in another file."""
    weights = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[4])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", "16")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weights"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("location", ["secret.bin", "../../secret.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"])
def test_weights_in_another_file_are_not_read(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.full(4, 7, np.float32).tofile(tmp_path / "secret.bin")
    monkeypatch.chdir(tmp_path)  # onnxruntime looks there
    network = _network(location)
    (tmp_path / "model.onnx").write_bytes(network)
    with pytest.raises(
        RequestError, match=r"model.onnx: keeps weights in another file, which is not read; [^\n]+$"
    ):
        load_session(f"{tmp_path}/model.onnx", hashlib.sha256(network).hexdigest())


@pytest.mark.parametrize(
    "key", [b"\x0a\x88\x00", b"\x8a\x00\x08", b"\x8a\x80\x00\x88\x80\x80\x00"], ids=["length", "tag", "both"]
)
def test_padded_numbers_hide_nothing(key: bytes) -> None:
    plain = b"\x0a\x08location"
    spelt = _network("x").replace(plain, key + b"location")
    for message in (plain, key + b"location"):
        entry = onnx.StringStringEntryProto()
        entry.ParseFromString(message)
        assert entry.key == "location", "it is the same to whoever reads it"
    with pytest.raises(RequestError, match="keeps weights in another file"):
        check_whole(spelt, "model.onnx")


def test_a_network_that_is_whole_may_speak_of_locations(tmp_path: Path) -> None:
    model = onnx.load(write_network(tmp_path / "model.onnx"))
    model.doc_string = "location: where it was made"
    model.graph.node[0].name = "location"
    model.graph.node[1].name = "a long name that speaks of the location"
    check_whole(model.SerializeToString(), "model.onnx")
