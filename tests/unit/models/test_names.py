"""Tests of skinml/models/names.py: no name leads out of the folder that it is in."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skinml.models.names import is_file, is_name

OUTSIDE = [
    "", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//x", "a//b", "a/", "./a", "a/./b", "..\\x",
    "a\\..\\x", "a\nb", "a\x00b", "a\x7fb", "a\u202eb", "s3://bucket/x", "file:///x", "x" * 600,
]  # fmt: skip


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_leads_out_or_hides_is_no_file_and_no_name(text: str) -> None:
    assert not is_file(text)
    assert not is_name(text)


@pytest.mark.parametrize("text", ["model.onnx", "figures/curves.png", "a b.txt", "..a", "a..", "figures/ä.png"])
def test_plain_paths_are_files(text: str) -> None:
    assert is_file(text)


@pytest.mark.parametrize("text", ["thesis-cnn", "20260131T000000Z-a1b2c3", "v1.2_x", "0"])
def test_plain_names_are_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize("text", ["-x", ".hidden", "_x", "ä", "a b", "a/b", "a\n", "x" * 129, "a%2e"])
def test_other_names_are_none(text: str) -> None:
    assert not is_name(text)


@given(st.text(alphabet="./\\ab\0\n%2eé", max_size=20))
@example("..")
def test_whatever_is_believed_stays_below_its_folder(text: str) -> None:
    for believed in (is_file(text), is_name(text)):
        if believed:
            assert posixpath.normpath(f"/bundle/{text}") == f"/bundle/{text}"
