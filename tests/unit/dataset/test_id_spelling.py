"""Tests of skinml/dataset/id_spelling.py: ids and files not written alike, one to one or not at all."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.dataset.id_spelling import Respelled, respell


def found(ids: list[str], names: list[str]) -> Respelled:
    return respell(pd.Series(ids, dtype="str"), pd.Series(names, dtype="str"))


@pytest.mark.parametrize(
    ("image_id", "name", "ways"),
    [
        ("ISIC_1.jpg", "ISIC_1", ["suffix"]),
        ("ISIC_1.JPEG", "ISIC_1", ["suffix"]),
        ("isic_1", "ISIC_1", ["case"]),
        ("ISIC_1", "ISIC_1_downsampled", ["_downsampled"]),
        ("ISIC_1_downsampled.jpg", "ISIC_1", ["suffix", "_downsampled"]),
        ("part_1/isic_1.png", "ISIC_1", ["folder", "suffix", "case"]),
        ("part_1\\ISIC_1.png", "ISIC_1", ["folder", "suffix"]),
    ],
)
def test_one_id_and_one_file_go_together(image_id: str, name: str, ways: list[str]) -> None:
    result = found([image_id, "other"], [name, "other"])
    assert (result.names, dict(result.ways), result.unclear) == ({image_id: name}, dict.fromkeys(ways, 1), {})


def test_what_is_written_alike_goes_together_first() -> None:
    assert found(["a", "A"], ["A", "a"]) == Respelled()
    result = found(["a", "a.jpg"], ["a"])
    assert result == Respelled()  # a.jpg has no image


def test_a_second_file_of_an_id_is_none_of_its_own() -> None:
    result = found(["a"], ["a", "A_downsampled"])
    assert result.names == {}
    assert result.unclear == {"A_downsampled": "image_id a is taken by the file of that name"}


@pytest.mark.parametrize(("ids", "names"), [(["a"], ["A", "a_downsampled"]), (["a.jpg", "a.png"], ["a"])])
def test_several_of_one_kind_are_never_guessed(ids: list[str], names: list[str]) -> None:
    result = found(ids, names)
    assert result.names == {}
    assert set(result.unclear) == set(names)
    for name in (*ids, *names):
        assert name in result.unclear[names[0]]


def test_what_has_nothing_in_common_is_left_alone() -> None:
    assert found(["a", "b"], ["c"]) == Respelled()


SPELLED = st.lists(
    st.sampled_from(["a", "A", "a.jpg", "A.PNG", "a_downsampled", "b", "B", "b.jpg", "c"]), unique=True
)


@given(ids=SPELLED, names=SPELLED)
def test_no_id_has_two_files_and_no_file_two_ids(ids: list[str], names: list[str]) -> None:
    result = found(ids, names)
    assert len({*result.names.values()}) == len(result.names)
    assert not {*result.names} & {*names}
    assert not {*result.names.values()} & {*ids}
    assert not {*result.names.values()} & {*result.unclear}
    assert {*result.names} <= {*ids}
    assert {*result.names.values(), *result.unclear} <= {*names} - {*ids}
