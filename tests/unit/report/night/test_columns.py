"""Tests of skinml/report/night/columns.py and links.py: what the program in the page reads."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skinml.report.night.columns import NONE, as_json, packed
from skinml.report.night.links import Linker
from tests.unit.report.night.made_up import HOSTILE, score_rows

NAMES = ["ISIC_0000001", "b.c", "odd", *HOSTILE]
URIS = [
    "s3://clinic/a/ISIC_0000001.jpg",
    "s3://clinic/a/b.c.JPG",
    "s3://clinic/b/not the id",
    *(f"s3://clinic/b/{name}.dcm" for name in HOSTILE),
]


def _bytes(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text), kind)


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    rows = score_rows(
        "run", URIS, NAMES, [None] * len(URIS), "v", flags=["", "blurred,dark", "new_flag", *[""] * 7]
    )
    text = as_json(packed(rows, Linker("s3://clinic/w/reports/run"), [None], [0], {"run": "run"}))
    told: dict[str, Any] = json.loads(text)
    assert "<" not in text
    return told


def test_every_uri_comes_back_from_folder_id_and_suffix(columns: dict[str, Any]) -> None:
    suffix, folder = _bytes(columns["suffix"], "u1"), _bytes(columns["folder"], "<u2")
    found = [
        columns["folders"][folder[row]][0]
        + (columns["names"][str(row)] if suffix[row] == NONE else image_id + columns["suffixes"][suffix[row]])
        for row, image_id in enumerate(columns["ids"])
    ]
    assert found == URIS
    assert columns["ids"] == NAMES
    assert list(columns["names"].values()) == ["not the id", "script>.dcm"], (
        "an id with a slash is no file name"
    )


def test_probabilities_come_back_to_half_a_step(columns: dict[str, Any]) -> None:
    rows = score_rows("run", URIS, NAMES, [None] * len(URIS), "v")
    p = _bytes(columns["p"], "u1").reshape(-1, 7) / 255
    for place, name in enumerate(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")):
        assert p[:, place] == pytest.approx(rows[f"p_{name}"].to_numpy(), abs=0.5 / 255 + 1e-9)
    assert _bytes(columns["malignant"], "<u2") / 65535 == pytest.approx(
        rows["p_malignant"].to_numpy(), abs=1e-5
    )
    assert _bytes(columns["flags"], "<u2").tolist() == [0, 3, *[0] * 8]


def test_a_row_takes_less_than_fifty_bytes() -> None:
    count = 5000
    names = [f"ISIC_{number:07d}" for number in range(count)]
    uris = [f"s3://clinic/archive/2026/11/{name}.jpg" for name in names]
    rows = score_rows("run", uris, names, [None] * count, "v")
    text = as_json(packed(rows, Linker("s3://other/w"), [], [], {}))
    assert len(text) / count < 50


def test_links_are_relative_and_only_where_a_browser_can_follow(tmp_path: Path) -> None:
    here = Linker(str(tmp_path / "w" / "reports" / "run"))
    archive = (tmp_path / "a b#").as_uri()
    assert here.image(f"{archive}/x%20y.jpg") == "../../../a%20b%23/x%20y.jpg"
    assert here.image(f"{archive}/x.dcm") is None
    assert here.image("s3://clinic/a/x.jpg") is None
    bucket = Linker("s3://clinic/w/reports/run")
    assert bucket.image("s3://clinic/a/x y#?.jpg") == "../../../a/x%20y%23%3F.jpg"
    assert bucket.image("s3://clinic2/a/x.jpg") is None
    assert bucket.image(f"{archive}/x.jpg") is None


def test_null_and_unknown_values_are_zero_and_no_diagnosis() -> None:
    rows = score_rows(
        "run", ["s3://a/b.jpg"], ["b"], [None], "v", predicted_dx=["scc"], p_mel=[None], flags=[None]
    )
    told = packed(rows, Linker("/w"), [], [], {})
    assert _bytes(told["dx"], "u1").tolist() == [NONE]
    assert _bytes(told["p"], "u1")[4] == 0
    assert pa.types.is_string(rows["flags"].type)
