"""Tests of skinml/storage/listed.py: names by kind, and what a person is told of what was passed over."""

from __future__ import annotations

import pytest

from skinml.storage.listed import LINK_OUT, NO_SUFFIX, OTHER, UNCHECKED, in_words, kind_of, warnings


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("IMG_0001.HEIC", ".heic"),
        ("a.b.dcm", ".dcm"),
        ("x.txt", OTHER),
        ("noextension", NO_SUFFIX),
        ("1.2.840.113619.2", NO_SUFFIX),
        ("scan.", NO_SUFFIX),
        ("müller.schmidt", OTHER),  # never by its own name: it may be a patient's
    ],
)
def test_a_name_says_its_kind(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_the_counts_in_words() -> None:
    assert in_words({"other": 9, ".dcm": 1, ".heic": 3}) == "3 .heic, 1 .dcm, 9 other"
    assert in_words({}) == "nothing"


def test_only_what_may_be_an_image_is_a_warning() -> None:
    assert warnings({OTHER: 5, "hidden": 2, "link to a listed image": 1}, remote=False) == []
    said = warnings({".heic": 2, ".gif": 1, NO_SUFFIX: 1, UNCHECKED: 7, LINK_OUT: 4}, remote=False)
    assert [line.partition(":")[0] for line in said] == [
        "passed over 3 files in image formats that are not supported (2 .heic, 1 .gif)",
        "passed over 1 file without a suffix but with the first bytes of an image",
        "passed over 7 further files without a suffix",
        "passed over 4 links out of the archive",
    ]
    assert all("\n" not in line and ("rename" in line or "score" in line) for line in said[1:])  # what to do
    [unread] = warnings({NO_SUFFIX: 2}, remote=True)
    assert unread.startswith("passed over 2 files without a suffix: if they are images, rename them")
