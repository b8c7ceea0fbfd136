"""Tests of skinml/class_folders/names.py: each name once, on any disk, whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.class_folders.names import file_names, may_name_a_patient, suffix_of

NAME = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(NAME, st.sampled_from([".jpg", ".JPEG", ".png", ""])), unique=True, max_size=12))
def test_names_differ_on_every_disk_and_do_not_depend_on_the_order(images: list[tuple[str, str]]) -> None:
    uris = [f"s3://bucket/{number}/x{suffix}" for number, (_, suffix) in enumerate(images)]
    image_ids = [image_id for image_id, _ in images]
    names = file_names(image_ids, uris)
    assert len({name.casefold() for name in names}) == len(images)
    for name in names:
        assert "/" not in name
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert len(name.encode()) <= 230
    assert file_names(image_ids[::-1], uris[::-1]) == names[::-1]


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    names = file_names(["ä" * 300, "ä" * 301], ["s3://b/1.jpg", "s3://b/2.jpg"])
    assert len(set(names)) == 2
    assert max(len(name.encode()) for name in names) < 230


@pytest.mark.parametrize(
    ("uri", "suffix"),
    [("s3://b/a.JPE", ".jpg"), ("s3://b/a.b/c", ""), ("s3://b/.hidden", ""), ("s3://b/a.tif", ".tiff")],
)
def test_suffixes_that_mean_the_same_are_the_same(uri: str, suffix: str) -> None:
    assert suffix_of(uri) == suffix


def test_dicom_may_name_a_patient() -> None:
    assert may_name_a_patient("file:///a/b.DCM")
    assert not may_name_a_patient("file:///a/dcm.jpg")
