"""Tests of skinml/models/precisions.py and allowed.py: what may score, and what a refusal says."""

from typing import Any

import pytest
from pydantic import ValidationError

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models.allowed import network_file
from skinml.models.manifest import File, Manifest, parse_manifest
from skinml.models.precisions import Network, explain, may_score

FP32 = Network(file="model.onnx", images=1480, balanced_accuracy=0.5449, macro_auc=0.89, allowed=True)
INT8 = Network(
    file="model-int8.onnx", images=1480, balanced_accuracy=0.5421, macro_auc=0.89, agreement=0.98, allowed=True
)


def _manifest(**fields: Any) -> Manifest:
    names = ("model.onnx", "model-int8.onnx")
    return Manifest(
        name="m", version="v1", created_at="2026-01-31T00:00:00Z", run_id="", protocol="grouped",
        class_order=DIAGNOSES, preprocessing={"size": 32}, dataset={}, parameters={}, libraries={},
        files={name: File(sha256="0" * 64, size_bytes=1) for name in names}, **fields,
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


ENOUGH = {"akiec": 34, "bcc": 50, "bkl": 102, "df": 15, "mel": 87, "nv": 828, "vasc": 12}
"""Lesions in the test split of HAM10000."""


def _measured(low: float, high: float, **lesions: int) -> Network:
    found = INT8.model_copy(
        update={"difference": (low + high) / 2, "interval": (low, high), "lesions": {**ENOUGH, **lesions}}
    )
    return found.model_copy(update={"allowed": may_score(found)})


@pytest.mark.parametrize(
    ("network", "allowed", "said"),
    [
        (
            _measured(-0.0049, 0.003),
            True,
            "it loses no more than 0.005 (balanced accuracy -0.0009 against fp32, 95 % interval -0.0049 to"
            " +0.0030, 1,128 test lesions in 1,480 images)",
        ),
        (_measured(0, 0), True, "it loses no more than 0.005"),
        (_measured(-0.02, -0.0051), False, "it loses more than 0.005"),
        (
            _measured(-0.0051, 0.003),
            False,
            "that it loses no more than 0.005 cannot be shown with 1,128 lesions (12 of vasc) (balanced",
        ),
        (
            _measured(0, 0, nv=0),
            False,
            "cannot be shown with 300 lesions (0 of nv): 600 are needed, 10 of each diagnosis (balanced",
        ),
        (_measured(0, 0, vasc=9), False, "cannot be shown with 1,125 lesions (9 of vasc): 600 are needed, 10"),
        (
            _measured(-0.9, -0.8, vasc=2),
            False,
            "cannot be shown with 1,118 lesions (2 of vasc): 600 are needed",
        ),
        (INT8.model_copy(update={"allowed": False}), False, "a drop of more than 0.005"),
    ],
)
def test_int8_scores_if_the_lesions_show_that_it_loses_little(
    network: Network, allowed: bool, said: str
) -> None:
    assert may_score(network) is network.allowed is allowed
    if network.interval is not None:
        assert said in explain(network)
    manifest = _manifest(precisions={"fp32": FP32, "int8": network})
    assert parse_manifest(manifest.model_dump_json().encode(), "v1").precisions["int8"] == network
    if allowed:
        assert network_file(manifest, "int8") == "model-int8.onnx"
        return
    with pytest.raises(
        RequestError, match=r"^--precision int8: model v1 may not score so: [^\n]+; score with"
    ) as no:
        network_file(manifest, "int8")
    assert said in str(no.value)


def test_an_older_permission_stands_and_is_said_to_have_no_interval(caplog: pytest.LogCaptureFixture) -> None:
    assert network_file(_manifest(precisions={"fp32": FP32, "int8": INT8}), "int8") == "model-int8.onnx"
    assert caplog.messages == [
        "int8 of model v1 was allowed on 1480 test images, without an interval: train anew for one"
    ]
    caplog.clear()
    network_file(_manifest(precisions={"fp32": FP32, "int8": _measured(0, 0)}), "int8")
    assert caplog.messages == []


@pytest.mark.parametrize(
    "spoilt",
    [
        {"file": "../../elsewhere/model.onnx"},
        {"balanced_accuracy": 1.5},
        {"macro_auc": -0.1},
        {"agreement": True},
        {"allowed": 1},
        {"images": -1},
        {"images": 1.0},
        {"interval": [0.0]},
        {"lesions": {"nv": -1}},
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_figures_that_cannot_be_are_refused(spoilt: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Network(**{**INT8.model_dump(), **spoilt})
