"""Tests of skinml/dataset/metadata.py: what is read, what is refused and in which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from skinml.dataset.metadata import Metadata, parse_metadata, read_metadata
from skinml.errors import RequestError
from tests.conftest import REAL_DATA

Put = Callable[[str, bytes], None]

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization"


def parse(*lines: str, header: str = HEADER) -> Metadata:
    return parse_metadata("\n".join([header, *lines, ""]).encode(), "m.csv")


def refusal_of(data: bytes) -> str:
    with pytest.raises(RequestError) as refusal:
        parse_metadata(data, "m.csv")
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_row_is_read_as_it_stands() -> None:
    metadata = parse("HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp")
    [row] = metadata.rows.to_dict("records")
    assert row == {
        "image_id": "ISIC_0027419",
        "lesion_id": "HAM_0000118",
        "dx": "bkl",
        "dx_type": "histo",
        "age": 80.0,
        "sex": "male",
        "localization": "scalp",
        "metadata_row": 0,
    }
    assert (metadata.repeated, metadata.conflicting) == ((), ())


def test_what_is_unknown_stays_unknown() -> None:
    """HAM10000 leaves an age blank, and calls an unknown sex 'unknown'."""
    rows = parse("L1,I1,nv,follow_up,,unknown,unknown", "L2,I2,nv,,0,,").rows
    assert rows["age"].isna().tolist() == [True, False]
    assert rows["age"].dtype == "float64"
    assert rows["age"][1] == 0
    assert rows["sex"][0] == "unknown"
    assert rows[["dx_type", "sex", "localization"]].isna().to_numpy().tolist() == [[False] * 3, [True] * 3]


def test_columns_that_are_not_needed_may_be_missing_and_others_are_passed_over() -> None:
    rows = parse("I1,L1,mel,x", header="image_id,lesion_id,dx,dataset").rows
    assert rows["dx"].tolist() == ["mel"]
    assert rows[["dx_type", "age", "sex", "localization"]].isna().all(axis=None)
    assert "dataset" not in rows


def test_names_that_look_like_nothing_are_names() -> None:
    rows = parse("null,NA,nv,None,,nan,N/A").rows
    assert rows[["lesion_id", "image_id", "dx_type", "sex"]].to_numpy().tolist() == [
        ["null", "NA", "None", "nan"]
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfimage_id,lesion_id,dx\nI1,L1,mel\n",
        b"image_id,lesion_id,dx\r\nI1,L1,mel\r\n",
        b"image_id, lesion_id, dx\n I1 , L1,mel \n\n\n",
        b'"image_id","lesion_id","dx"\n"I1","L1","mel"',
    ],
    ids=["byte order mark", "Windows", "spaces and blank lines", "quotes"],
)
def test_how_it_is_written_does_not_matter(data: bytes) -> None:
    rows = parse_metadata(data, "m.csv").rows
    assert rows[["image_id", "lesion_id", "dx", "metadata_row"]].to_numpy().tolist() == [["I1", "L1", "mel", 0]]


def test_equal_rows_count_once_and_are_named() -> None:
    metadata = parse("L1,I1,nv,,30,,", "L2,I2,mel,,,,", "L1,I1,nv,,30.0,,", "L1,I1,nv,,30,,")
    assert metadata.rows["image_id"].tolist() == ["I1", "I2"]
    assert metadata.rows["metadata_row"].tolist() == [0, 1]
    assert (metadata.repeated, metadata.conflicting) == (("I1",), ())


def test_rows_that_differ_are_all_left_out_and_named() -> None:
    metadata = parse("L1,I1,nv,,,,", "L2,I2,mel,,,,", "L1,I1,mel,,,,", "L3,I3,df,,,,", "L1,I1,nv,,,,")
    assert metadata.rows["image_id"].tolist() == ["I2", "I3"]
    assert metadata.rows["metadata_row"].tolist() == [1, 3]
    assert (metadata.repeated, metadata.conflicting) == ((), ("I1",))


def test_the_order_of_the_source_is_kept() -> None:
    """The thesis protocol draws in it."""
    assert parse("L1,I9,nv,,,,", "L1,I1,nv,,,,", "L1,I5,nv,,,,").rows["image_id"].tolist() == ["I9", "I1", "I5"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "--metadata m.csv: not a CSV table: No columns to parse from file"),
        (
            b"\x89PNG\r\n\x1a\n\x00\xff",
            "--metadata m.csv: not a CSV table: 'utf-8' codec can't decode byte 0x89",
        ),
        (b'image_id,lesion_id,dx\n"I1,L1,mel\n', "--metadata m.csv: not a CSV table: "),
        (b"image_id,lesion_id,dx\nI1,L1,mel\nI2,L2,mel,x,y\n", "--metadata m.csv: not a CSV table: "),
        (b"image_id,age\nI1,3\n", "--metadata m.csv: has no column lesion_id, dx (it has image_id, age)"),
        (
            b"image_id;lesion_id;dx\nI1;L1;mel\n",
            "--metadata m.csv: has no column image_id, lesion_id, dx (it has image_id;lesion_id;dx)",
        ),
        (
            b"image_id,lesion_id,dx\nI1,L1,mel\n,L2,nv\n",
            "--metadata m.csv: line 3 (no image_id): image_id is blank",
        ),
        (b"image_id,lesion_id,dx\nI1, ,mel\n", "--metadata m.csv: line 2 (I1): lesion_id is blank"),
        (b"image_id,lesion_id,dx\nI1,L1\n", "--metadata m.csv: line 2 (I1): dx is blank"),
        (
            b"image_id,lesion_id,dx\nI1,L1,mel\nI2,L1,MEL\nI3,L1,xyz\n",
            "--metadata m.csv: line 3 (I2): 'MEL': dx is none of akiec, bcc, bkl, df, mel, nv, vasc",
        ),
        (
            b"image_id,lesion_id,dx,age\nI1,L1,mel,old\n",
            "--metadata m.csv: line 2 (I1): 'old': age is not a number of years",
        ),
        *(
            (
                f"image_id,lesion_id,dx,age\nI1,L1,mel,{age}\n".encode(),
                f"--metadata m.csv: line 2 (I1): '{age}': age is not a number of years",
            )
            for age in ("-1", "inf", "nan", "1e9")
        ),
    ],
    ids=lambda value: value[15:40] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_in_one_line(data: bytes, words: str) -> None:
    refusal = refusal_of(data)
    assert refusal.startswith(words) if words.endswith(": ") or "codec" in words else refusal == words


def test_it_is_read_from_anywhere(place: str, put: Put) -> None:
    put(f"{place}/HAM10000 metadata.csv", f"{HEADER}\nL1,I1,nv,,,,\n".encode())
    assert read_metadata(f"{place}/HAM10000 metadata.csv").rows["image_id"].tolist() == ["I1"]
    with pytest.raises(RequestError, match=f"--metadata {place}/nothing.csv: not found; name a CSV file"):
        read_metadata(f"{place}/nothing.csv")


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"--metadata {tmp_path}: Is a directory; name a CSV file"):
        read_metadata(str(tmp_path))


@pytest.mark.skipif(not REAL_DATA.joinpath("ham10000").is_dir(), reason="the real HAM10000 is not here")
def test_the_real_one_is_read() -> None:
    [path] = REAL_DATA.joinpath("ham10000").rglob("*etadata*.csv")
    metadata = read_metadata(str(path))
    assert metadata.rows["dx"].value_counts().to_dict() == {
        "nv": 6705,
        "mel": 1113,
        "bkl": 1099,
        "bcc": 514,
        "akiec": 327,
        "vasc": 142,
        "df": 115,
    }
    assert metadata.rows["lesion_id"].nunique() == 7470
    assert pd.isna(metadata.rows["age"]).sum() == 57
    assert (metadata.repeated, metadata.conflicting) == ((), ())
