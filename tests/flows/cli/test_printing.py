"""What a verb prints for people: lines and tables, in which no text can do harm."""

from __future__ import annotations

import json

import pytest

from flows.cli.printing import _cut, _narrowed, print_result

ROWS = [
    {"reason": "empty", "images": 12_000, "uri": "s3://b/a.jpg"},
    {"reason": "read_error", "images": 3, "uri": "s3://b/\x1b[2J\nx.jpg"},
]


def test_rows_are_a_table_and_the_rest_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(
        {"rows": ROWS, "images": 2, "share": 0.123456, "nothing": [], "parts": {"a": 1}}, as_json=False
    )
    assert capsys.readouterr().out.splitlines() == [
        "reason      images  uri",
        "empty       12,000  s3://b/a.jpg",
        "read_error       3  s3://b/\ufffd[2J x.jpg",
        "",
        "images   2",
        "share    0.1235",
        "nothing  -",
        "parts    a 1",
    ]


def test_rows_by_name_are_a_table_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"tables": {"scores": {"files": 2}, "runs": {"files": 1, "spare": 7}}}, as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:3]] == [
        ["files", "spare"],
        ["scores", "2", "-"],
        ["runs", "1", "7"],
    ]


def test_programs_get_everything(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"rows": ROWS}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"rows": ROWS}


def test_a_terminal_gets_what_fits() -> None:
    assert _narrowed([6, 90, 50], 100) == [6, 47, 47]
    assert _narrowed([6, 90, 50], 10) == [6, 20, 20], "that much can be read, if in two lines"
    assert _cut("s3://bucket/a/long/way/ISIC_0000001.jpg", 21) == "s3://bu…C_0000001.jpg"
    assert _cut("short", 21) == "short"
