"""Tests of skinml/models/precisions.py and allowed.py: what may score, and what a refusal says."""

from typing import Any

import pytest

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models.allowed import network_file
from skinml.models.manifest import Manifest, parse_manifest
from skinml.models.precisions import Network, may_score

FP32 = Network(file="model.onnx", images=1480, balanced_accuracy=0.5449, macro_auc=0.89, allowed=True)
INT8 = Network(
    file="model-int8.onnx", images=1480, balanced_accuracy=0.5421, macro_auc=0.89, agreement=0.98, allowed=True
)


def _manifest(**fields: Any) -> Manifest:
    names = ("model.onnx", "model-int8.onnx")
    return Manifest(
        name="m", version="v1", created_at="", run_id="", protocol="grouped", class_order=DIAGNOSES,
        preprocessing={}, dataset={}, parameters={}, libraries={},
        files={name: {"sha256": "0", "size_bytes": 1} for name in names}, **fields,
    )  # fmt: skip


def test_each_precision_has_its_file() -> None:
    manifest = _manifest(precisions={"fp32": FP32, "int8": INT8})
    assert network_file(manifest, "fp32") == "model.onnx"
    assert network_file(manifest, "int8") == "model-int8.onnx"
    assert parse_manifest(manifest.model_dump_json().encode(), "v1").precisions == manifest.precisions


def test_an_older_bundle_scores_in_fp32_alone() -> None:
    assert network_file(_manifest(), "fp32") == "model.onnx"
    with pytest.raises(
        RequestError, match=r"^--precision int8: model v1 has no such network, it is from before"
    ):
        network_file(_manifest(), "int8")


def test_a_network_that_lost_too_much_is_refused_with_its_loss() -> None:
    worse = INT8.model_copy(update={"balanced_accuracy": 0.5312, "allowed": False})
    with pytest.raises(RequestError) as caught:
        network_file(_manifest(precisions={"fp32": FP32, "int8": worse}), "int8")
    assert str(caught.value) == (
        "--precision int8: model v1 may not score so: its balanced accuracy is 0.5312 against 0.5449 in fp32"
        " on 1480 test images, a drop of more than 0.005; score with --precision fp32"
    )


def test_a_network_that_could_not_be_made_says_why() -> None:
    failed = Network(failure="quantising it failed: ValueError: no such node")
    with pytest.raises(
        RequestError, match=r"v1 has no such network: quantising it failed: ValueError: no such"
    ):
        network_file(_manifest(precisions={"fp32": FP32, "int8": failed}), "int8")


def test_a_file_that_the_manifest_does_not_name_is_refused() -> None:
    other = INT8.model_copy(update={"file": "elsewhere.onnx"})
    with pytest.raises(RequestError, match=r"its manifest names no elsewhere.onnx"):
        network_file(_manifest(precisions={"fp32": FP32, "int8": other}), "int8")


@pytest.mark.parametrize(
    ("fp32", "int8", "allowed"),
    [(0.705, 0.7, True), (0.7051, 0.7, False), (0.7, 0.9, True), (0.7, None, False), (None, 0.7, False)],
)
def test_half_a_point_may_be_lost(fp32: float | None, int8: float | None, allowed: bool) -> None:
    assert may_score(Network(balanced_accuracy=fp32), Network(balanced_accuracy=int8)) is allowed
