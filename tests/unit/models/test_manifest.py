"""Tests of skinml/models/manifest.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.errors import RequestError
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES
from skinml.models.manifest import Manifest, parse_manifest


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "name": "thesis-cnn",
        "version": "v1",
        "created_at": "2026-01-31T00:00:00+00:00",
        "run_id": "train-1",
        "protocol": "grouped",
        "class_order": list(DIAGNOSES),
        "preprocessing": {"size": 32, "decode": "exact", "filter": "bicubic"},
        "dataset": {"version": 3},
        "parameters": {"epochs": 2},
        "libraries": {"keras": "3.0"},
        "files": {"model.onnx": {"sha256": "0" * 64, "size_bytes": 7}},
    } | changes


def refusal_of(data: bytes) -> str:
    with pytest.raises(RequestError) as refusal:
        parse_manifest(data, "v1")
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("model v1: ")
    return str(refusal.value)


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = Manifest(**fields())
    assert parse_manifest(manifest.model_dump_json().encode(), "v1") == manifest
    assert manifest.files["model.onnx"].size_bytes == 7
    assert manifest.class_order == DIAGNOSES


def test_what_later_versions_add_is_kept() -> None:
    data = json.dumps(fields(calibration={"temperature": 1.5})).encode()
    assert parse_manifest(data, "v1").model_dump()["calibration"] == {"temperature": 1.5}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"[1]",
        b"\xff\xfe",
        b"{}",
        json.dumps({"name": "x"}).encode(),
        b"[" * 100_000,
        b'{"name": ' * 100_000,
        json.dumps(fields(dataset={"x": float("nan")})).encode(),
        json.dumps(fields())[:-1].encode() + b', "version": "v2"}',
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    assert "manifest.json is not a manifest" in refusal_of(data)


def test_a_missing_field_is_no_manifest() -> None:
    for name in fields():
        rest = {key: value for key, value in fields().items() if key != name}
        assert "manifest.json is not a manifest" in refusal_of(json.dumps(rest).encode())


@pytest.mark.parametrize(
    "order", [DIAGNOSES[::-1], DIAGNOSES[:6], (*DIAGNOSES, "scc"), ("nv", *(set(DIAGNOSES) - {"nv"}))]
)
def test_another_class_order_is_refused(order: tuple[str, ...]) -> None:
    refusal = refusal_of(json.dumps(fields(class_order=order)).encode())
    assert refusal == f"model v1: class order {', '.join(order)} is not akiec, bcc, bkl, df, mel, nv, vasc"


def test_it_says_how_pixels_are_made() -> None:
    assert Manifest(**fields()).pixels() == Preprocessing(32, "exact")


@pytest.mark.parametrize(
    "preprocessing",
    [
        {"size": 32, "decode": "exact", "filter": "lanczos"},
        {"size": 32, "decode": "slow", "filter": "bicubic"},
        {"size": 32, "decode": "fast", "filter": "bicubic", "colour_constancy": True},
        {"decode": "fast"},
        {"size": 0},
        {"size": -32},
        {"size": 1025},
        {"size": 10**30},
        {"size": True},
        {"size": 32.0},
        {"size": "32"},
        {"size": 32, "filter": None},
        {},
        {"size": 32, "decode": "fast", "filter": "bicubic", "colour": "cmyk"},
    ],
)
def test_pixels_that_are_made_otherwise_are_refused(preprocessing: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"model v1: preprocessing .* is not known here"):
        Manifest(**fields(preprocessing=preprocessing)).pixels()
    assert "preprocessing" in refusal_of(json.dumps(fields(preprocessing=preprocessing)).encode())


FILE = {"sha256": "0" * 64, "size_bytes": 7}


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"name": "../../elsewhere"}, "name: '../../elsewhere' is not a name"),
        ({"version": "a/b"}, "version: 'a/b' is not a name"),
        ({"files": {"../x": FILE}}, "'../x' is not the path of a file inside the bundle"),
        ({"files": {"a\nb": FILE}}, "is not the path of a file inside the bundle"),
        ({"files": {"x": FILE | {"sha256": "0" * 63}}}, "files.x.sha256: String should match pattern"),
        ({"files": {"x": FILE | {"sha256": "g" * 64}}}, "files.x.sha256: String should match pattern"),
        ({"files": {"x": FILE | {"size_bytes": -1}}}, "files.x.size_bytes: Input should be greater than"),
        ({"files": {"x": FILE | {"size_bytes": True}}}, "files.x.size_bytes: Input should be a valid integer"),
        ({"files": {"x": FILE | {"size_bytes": "7"}}}, "files.x.size_bytes: Input should be a valid integer"),
        ({"created_at": "yesterday"}, "created_at: Invalid isoformat string: 'yesterday'"),
        ({"created_at": "2026-01-31"}, "created_at: 2026-01-31 has no time zone"),
        ({"class_order": "nv"}, "class_order: Input should be a valid tuple"),
        ({"precisions": {"fp32": {"file": "/etc/passwd"}}}, "'/etc/passwd' is not the path of a file inside"),
        ({"precisions": {"fp32": {"macro_auc": 1.5}}}, "precisions.fp32.macro_auc: Input should be less than"),
        ({"precisions": {"fp64": {}}}, "precisions.fp64.[key]: Input should be 'fp32' or 'int8'"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_place(spoilt: dict[str, Any], said: str) -> None:
    assert said in refusal_of(json.dumps(fields(**spoilt)).encode())


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(fields(), st.recursive(st.none() | st.integers() | st.text(), st.lists))
    )
)
def test_wild_values_are_refused_in_one_line(wild: dict[str, Any]) -> None:
    said = ""
    try:
        parse_manifest(json.dumps(fields(**wild)).encode(), "v1")
    except RequestError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1000


def test_bundles_from_before_there_was_a_choice_keep_colours_as_they_are_stored() -> None:
    older = {"size": 64, "decode": "fast", "filter": "bicubic"}
    assert Manifest(**fields(preprocessing=older)).pixels() == Preprocessing(64, "fast", colour="as_stored")
    assert Manifest(**fields(preprocessing=older | {"colour": "srgb"})).pixels().colour == "srgb"


OLD = """{
  "name": "thesis-cnn",
  "version": "20260105T021530Z-a1b2c3",
  "created_at": "2026-01-05T02:15:30+00:00",
  "run_id": "train-20260105T021400Z-0f0f0f",
  "protocol": "grouped",
  "class_order": ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"],
  "preprocessing": {"size": 32, "decode": "fast", "filter": "bicubic", "colour": "srgb"},
  "dataset": {"key": "32px-fast-bicubic-srgb-npy", "version": 0, "samples": 140},
  "parameters": {"epochs": 1, "batch_size": 64, "seed": 42, "trainable_parameters": 384455},
  "libraries": {"keras": "3.15.0", "onnxruntime": "1.32.0"},
  "files": {"model.onnx": {"sha256": "%s", "size_bytes": 1543141}},
  "precisions": {"fp32": {"file": "model.onnx", "images": 21, "balanced_accuracy": 0.5, "allowed": true}},
  "onnx_parity": 1.2e-07
}""" % ("0" * 64)
"""As written before preprocessing had aspect and normalisation, and manifests an architecture."""


def test_a_manifest_from_before_is_read_with_what_all_did_then() -> None:
    manifest = parse_manifest(OLD.encode(), "20260105T021530Z-a1b2c3")
    pixels = manifest.pixels()
    assert (pixels.aspect, pixels.normalisation, pixels.colour) == ("stretch", "raw", "srgb")
    assert pixels.dataset_key("npy") == manifest.dataset["key"]
    assert pixels.to_json() == manifest.preprocessing, "and one written today says no more"
    assert manifest.architecture == {}


@pytest.mark.parametrize("changed", [{"aspect": "pad"}, {"aspect": None}, {"normalisation": "mean"}])
def test_an_aspect_or_normalisation_that_is_not_known_is_refused(changed: dict[str, Any]) -> None:
    said = fields()["preprocessing"] | {"aspect": "crop", "normalisation": "imagenet"}
    assert Manifest(**fields(preprocessing=said)).pixels().aspect == "crop"
    with pytest.raises(RequestError, match="is not known here"):
        Manifest(**fields(preprocessing=said | changed)).pixels()
