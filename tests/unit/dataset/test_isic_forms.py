"""Tests of skinml/dataset/isic_forms.py: tables are recognised by the names of their columns."""

from __future__ import annotations

import pytest

from skinml.dataset.csv_dialect import Piece
from skinml.dataset.isic_forms import read_columns, recognise

ONE_HOT = ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
ARCHIVE = ["isic_id", *(f"diagnosis_{level}" for level in range(1, 6)), "lesion_id"]


def rows_of(header: list[str], *rows: list[str]) -> list[dict[str, str]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    piece = Piece(list(range(2, 2 + len(rows))), columns)
    found: list[dict[str, str]] = read_columns(recognise(header), piece).to_pylist()
    return found


def test_names_are_compared_without_case_blanks_and_marks() -> None:
    form = recognise(["\ufeffIMAGE_ID", " Lesion ID ", "Dx", "age-approx"])
    assert form.positions == {"image_id": (0,), "lesion_id": (1,), "dx": (2,), "age": (3,)}
    assert form.renamed() == {"image_id": "IMAGE_ID", "lesion_id": "Lesion ID", "dx": "Dx", "age": "age-approx"}


@pytest.mark.parametrize(
    "header", [["image_id", "dx", "dx"], ["dx", " DX", "a"], ["note", "Note"], ["a b", "a_b"]]
)
def test_two_columns_of_one_name_are_refused(header: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^has 2 columns .*: keep only one of them$"):
        recognise(header)


def test_columns_without_a_name_are_passed_over() -> None:
    assert recognise(["", "image_id", "", "dx"]).positions == {"image_id": (1,), "dx": (3,)}


def test_one_column_a_class() -> None:
    rows = rows_of(ONE_HOT, ["a", "1.0", *["0.0"] * 6], ["b", *["0"] * 6, "1"], ["c", "", "1,0", *[""] * 5])
    assert [row["dx"] for row in rows] == ["mel", "vasc", "nv"]
    assert recognise(ONE_HOT).renamed() == {"image_id": "image", "dx": "MEL, NV, BCC, AKIEC, BKL, DF, VASC"}


def test_one_column_a_class_as_pandas_writes_truths() -> None:
    rows = rows_of(ONE_HOT, ["a", "True", *["False"] * 6], ["b", *["FALSE"] * 6, "TRUE"])
    assert [row["dx"] for row in rows] == ["mel", "vasc"]


def test_the_classes_of_2019() -> None:
    header = ["image", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    rows = [
        [name, *("1.0" if place == of else "0.0" for place in range(9))] for name, of in (("a", 3), ("b", 7))
    ]
    assert [row["dx"] for row in rows_of(header, *rows)] == ["ak", "scc"]


@pytest.mark.parametrize(
    "values", [["0.7", "0.3"], ["0", "0"], ["1", "1"], ["x", "1"], ["nan", "1"], ["-1", "1"], ["1", "1e-9"]]
)
def test_rows_that_name_no_class_or_several_are_refused(values: list[str]) -> None:
    row = ["I1", *values, *["0.0"] * 5]
    with pytest.raises(
        ValueError, match=r"^line 3 \(I1\): one class must be 1 and the others 0, but the row has MEL "
    ) as refusal:
        rows_of(ONE_HOT, ["I0", "1", *["0"] * 6], row)
    assert f"MEL {values[0]}, NV {values[1]}, BCC 0.0" in str(refusal.value)


def test_a_diagnosis_column_counts_before_columns_that_are_called_as_classes_are() -> None:
    form = recognise(["image_id", "lesion_id", "dx", "mel", "nv"])
    assert (form.positions["dx"], form.one_hot) == ((2,), {})


@pytest.mark.parametrize(
    ("levels", "dx"),
    [
        (["Benign", "Benign melanocytic proliferations", "Nevus", "Nevus, Spitz", ""], "Nevus"),
        (["Malignant", "Malignant epidermal proliferations", "Squamous cell carcinoma, NOS", "", ""], None),
        (["Benign", "Benign soft tissue proliferations - Vascular", "", "", ""], None),
        (["Benign", "", "", "", ""], None),
        (["", "", "", "", ""], ""),
    ],
)
def test_the_most_particular_diagnosis_counts_that_is_one_of_the_seven(
    levels: list[str], dx: str | None
) -> None:
    [row] = rows_of(ARCHIVE, ["I1", *levels, "L1"])
    assert row["dx"] == ([level for level in levels if level][-1] if dx is None else dx)


def test_isic_2020() -> None:
    header = ["image_name", "patient_id", "lesion_id", "sex", "age_approx", "anatom_site_general_challenge"]
    header += ["diagnosis", "benign_malignant", "target"]
    [row] = rows_of(header, ["I1", "P1", "L1", "male", "45.0", "torso", "melanoma", "malignant", "1"])
    assert row == {
        "image_id": "I1",
        "patient_id": "P1",
        "lesion_id": "L1",
        "sex": "male",
        "age": "45.0",
        "localization": "torso",
        "dx": "melanoma",
        "line": 2,
    }
