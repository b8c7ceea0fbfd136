"""Tests of skinml/models/manifest.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
        "files": {"model.onnx": {"sha256": "00", "size_bytes": 7}},
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
    "data", [b"", b"no json", b"[1]", b"\xff\xfe", b"{}", json.dumps({"name": "x"}).encode()]
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
        {"size": 32, "decode": "fast", "filter": "bicubic", "colour": "cmyk"},
    ],
    ids=["filter", "decode", "more", "less", "colour"],
)
def test_pixels_that_are_made_otherwise_are_refused(preprocessing: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"model v1: preprocessing .* is not known here"):
        Manifest(**fields(preprocessing=preprocessing)).pixels()


def test_bundles_from_before_there_was_a_choice_keep_colours_as_they_are_stored() -> None:
    older = {"size": 64, "decode": "fast", "filter": "bicubic"}
    assert Manifest(**fields(preprocessing=older)).pixels() == Preprocessing(64, "fast", colour="as_stored")
    assert Manifest(**fields(preprocessing=older | {"colour": "srgb"})).pixels().colour == "srgb"
