"""Tests of skinml/dataset/metadata.py: what is read, what is refused and in which words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from skinml.dataset.metadata import Metadata, parse_metadata, read_metadata
from skinml.dataset.metadata_file import MOST_BYTES
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
    metadata = parse("HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp,rosendahl", header=f"{HEADER},dataset")
    [row] = metadata.rows.to_dict("records")
    assert row == {
        "image_id": "ISIC_0027419",
        "lesion_id": "HAM_0000118",
        "dx": "bkl",
        "dx_type": "histo",
        "age": 80.0,
        "sex": "male",
        "localization": "scalp",
        "source": "rosendahl",
        "metadata_row": 0,
    }
    assert (metadata.repeated, metadata.conflicting) == ((), ())


@pytest.mark.parametrize("name", ["source", "dataset", "Attribution"])
def test_where_an_image_was_taken(name: str) -> None:
    rows = parse("L1,I1,nv,,,,,vidir_modern", "L2,I2,nv,,,,,n/a", header=f"{HEADER},{name}").rows
    assert rows["source"][0] == "vidir_modern"
    assert rows["source"].isna().tolist() == [False, True]
    assert parse("L1,I1,nv,,,,").rows["source"].isna().all()  # no such column


def test_what_is_unknown_is_null() -> None:
    """HAM10000 leaves an age blank, and calls an unknown sex 'unknown', an unknown place 'unknown' as well."""
    rows = parse("L1,I1,nv,follow_up,,unknown,unknown", "L2,I2,nv,,0,,").rows
    assert rows["age"].isna().tolist() == [True, False]
    assert rows["age"].dtype == "float64"
    assert rows["age"][1] == 0
    assert rows["sex"].isna().all()
    assert rows[["dx_type", "localization"]].isna().to_numpy().tolist() == [[False] * 2, [True] * 2]


@pytest.mark.parametrize(
    "word",
    [
        "",
        "NaN",
        "nan",
        "NA",
        "N/A",
        "n/a",
        "NULL",
        "null",
        "None",
        "Unknown",
        "UNKNOWN",
        "<NA>",
        "#N/A",
        "-",
        "?",
    ],
)
def test_however_it_is_written(word: str) -> None:
    """By Excel, R, SQL, pandas 2 and 3, or a person."""
    rows = parse(f"L1,I1,nv,histo,{word},{word},back").rows
    assert rows[["age", "sex"]].isna().all(axis=None)
    assert rows["age"].dtype == "float64"


@pytest.mark.parametrize(
    ("text", "age"),
    [("85+", 85), ('"50,0"', 50), ("50.0", 50), ("0", 0), ("150", 150), ("85 +", 85), ("3.", 3)],
)
def test_ages_are_understood_as_people_write_them(text: str, age: float) -> None:
    assert parse(f"L1,I1,nv,,{text},,").rows["age"].tolist() == [age]


def test_columns_that_are_not_needed_may_be_missing_and_others_are_passed_over() -> None:
    rows = parse("I1,L1,mel,x", header="image_id,lesion_id,dx,dataset").rows
    assert rows["dx"].tolist() == ["mel"]
    assert rows[["dx_type", "age", "sex", "localization"]].isna().all(axis=None)
    assert "dataset" not in rows


def test_names_that_look_like_nothing_are_names() -> None:
    rows = parse("none of them,NA,nv,,,,").rows
    assert rows[["lesion_id", "image_id"]].to_numpy().tolist() == [["none of them", "NA"]]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfimage_id,lesion_id,dx\nI1,L1,mel\n",
        b"image_id,lesion_id,dx\r\nI1,L1,mel\r\n",
        b"image_id, lesion_id, dx\n I1 , L1,mel \n\n\n",
        b'"image_id","lesion_id","dx"\n"I1","L1","mel"',
        b'"lesion_id"\t"image_id"\t"dx"\n"L1"\t"I1"\t"mel"\n',
        b"sep=;\r\nIMAGE_ID;Lesion_ID;DX\r\nI1;L1;MEL\r\n;;\r\n",
        "image_id,lesion_id,dx\nI1,L1,melanoma\n".encode("utf-16"),
    ],
    ids=["byte order mark", "Windows", "spaces and blank lines", "quotes", "Dataverse", "Excel", "UTF-16"],
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
        (b"", "--metadata m.csv: is empty"),
        (b"\n \n", "--metadata m.csv: is empty"),
        (
            b"image_id,lesion_id,dx\n\n",
            "--metadata m.csv: has no rows below its header (image_id, lesion_id, dx)",
        ),
        (
            b"\x89PNG\r\n\x1a\n\x00\xff",
            "--metadata m.csv: line 3: has NUL characters, so it is not text: give a CSV file",
        ),
        (
            b'image_id,lesion_id,dx\n"I1,L1,mel\n',
            "--metadata m.csv: line 2: the row that begins here cannot be read: a quote is not closed",
        ),
        (
            b"image_id,lesion_id,dx\nI1,L1,mel\nI2,L2,mel,x,y\n",
            "--metadata m.csv: line 3 (I2): has 5 values, the header has 3 columns",
        ),
        (
            b"image_id,age\nI1,3\n",
            "--metadata m.csv: has no column dx or diagnosis, nor one column per class such as ISIC's MEL, "
            "NV and BCC (it has image_id, age); add the file that has them with another --metadata",
        ),
        (
            b"name;lesion_id;dx\nI1;L1;mel\n",
            "--metadata m.csv: has no column image_id, isic_id, image_name or image (it has name, "
            "lesion_id, dx)",
        ),
        (
            b"image_id,dx\nI1,mel\n",
            "--metadata m.csv: has no column lesion_id (it has image_id, dx): the split is by lesion, so "
            "add the file that has them with another --metadata (ISIC 2018: its LesionGroupings file; ISIC "
            "2019: its Metadata file)",
        ),
        (b"image_id,lesion_id,dx,Dx\n", "--metadata m.csv: has 2 columns dx (dx, Dx): keep only one of them"),
        (
            b"image_id,lesion_id,dx\nI1,L1,mel\n,L2,nv\n",
            "--metadata m.csv: line 3 (no image_id): image_id is blank",
        ),
        *(
            (
                f"image_id,lesion_id,dx\nI0,L0,nv\n\nI1,{blank},mel\nI2,{blank},mel\n".encode(),
                "--metadata m.csv: line 4 (I1): lesion_id is blank, in 2 rows in all: the split is by "
                "lesion, so add a file that has them with another --metadata, or leave these images out with "
                "--drop no-lesion",
            )
            for blank in ("", " ", "NaN", "None")  # which would be one lesion with a thousand images
        ),
        (
            b"image_id,lesion_id,dx\nI1,L1\n",
            "--metadata m.csv: line 2 (I1): has 2 values, the header has 3 columns",
        ),
        (
            b'image_id,lesion_id,dx\nI1,"L1\nI2,L2",mel\n',
            "--metadata m.csv: line 2 (I1): 'L1\\nI2,L2': lesion_id contains a line break; is a "
            "quote not closed?",
        ),
        (
            b'image_id,lesion_id,dx,localization\nI1,L1,mel,"a\nb"\nI2,L1,MEL,c\nI3,L1,xyz,d\n',
            "--metadata m.csv: line 5 (I3): 'xyz' is none of akiec, bcc, bkl, df, mel, nv, vasc; such rows in "
            "all: xyz 1. Leave their images out with --drop xyz, or map a class, as --map xyz=akiec",
        ),
        (
            b"image_id,lesion_id,dx\nI1,L1,\n",
            "--metadata m.csv: line 2 (I1): 'unknown' is none of akiec, bcc, bkl, df, mel, nv, vasc; such rows "
            "in all: unknown 1. Leave their images out with --drop unknown, or map a class, as --map "
            "unknown=akiec",
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
            for age in ("-1", "inf", "151", "1e9", "0x10", "1_0", "8++", "\u0668\u0665", "+", ".")
        ),
    ],
    ids=lambda value: value[15:40] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_in_one_line(data: bytes, words: str) -> None:
    assert refusal_of(data) == words


def test_it_is_read_from_anywhere(place: str, put: Put) -> None:
    put(f"{place}/HAM10000 metadata.csv", f"{HEADER}\nL1,I1,nv,,,,\n".encode())
    assert read_metadata([f"{place}/HAM10000 metadata.csv"]).rows["image_id"].tolist() == ["I1"]
    with pytest.raises(RequestError, match=f"--metadata {place}/nothing.csv: not found; give a CSV file"):
        read_metadata([f"{place}/nothing.csv"])


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"--metadata {tmp_path}: Is a directory; give a CSV file"):
        read_metadata([str(tmp_path)])


# Several tables


def put_table(folder: Path, name: str, *lines: str) -> str:
    (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return str(folder / name)


ONE_HOT = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"


def test_labels_and_lesions_of_2018_are_joined(tmp_path: Path) -> None:
    labels = put_table(tmp_path, "labels.csv", ONE_HOT, "I2,0,1,0,0,0,0,0", "I1,1.0,0,0,0,0,0,0")
    groups = ["image,lesion_id,diagnosis_confirm_type", "I0,L0,histopathology", "I1,L1,histopathology"]
    lesions = put_table(tmp_path, "lesions.csv", *groups, "I2,L1,serial imaging showing no change")
    for urls in ([labels, lesions], [lesions, labels]):
        metadata = read_metadata(urls)
        columns = ["image_id", "lesion_id", "dx", "dx_type", "metadata_row"]
        assert metadata.rows[columns].to_numpy().tolist() == [
            ["I2", "L1", "nv", "follow_up", 0],
            ["I1", "L1", "mel", "histo", 1],
        ], "in the order of the labels; an image without a label is none"
    with pytest.raises(RequestError, match=r"labels.csv: has no column lesion_id \(it has image, MEL, "):
        read_metadata([labels])
    with pytest.raises(RequestError, match=r"lesions.csv: has no column dx or "):
        read_metadata([lesions])


def test_ids_that_are_written_otherwise_in_the_other_table_are_joined_and_it_is_said(tmp_path: Path) -> None:
    labels = put_table(tmp_path, "labels.csv", "image_id,dx", "I1.jpg,nv", "i2,mel")
    lesions = put_table(tmp_path, "lesions.csv", "image_id,lesion_id,age", "I1,L1,50", "I2,L2,")
    metadata = read_metadata([labels, lesions])
    assert metadata.rows[["image_id", "lesion_id"]].to_numpy().tolist() == [["I1.jpg", "L1"], ["i2", "L2"]]
    assert any("spelled differently" in note and "suffix 1, case 1" in note for note in metadata.notes)


def test_tables_of_other_images_are_one_table(tmp_path: Path) -> None:
    first = put_table(tmp_path, "a.csv", "image_id,lesion_id,dx", "I1,L1,nv", "I1,L1,nv")
    second = put_table(tmp_path, "b.csv", "isic_id;lesion_id;diagnosis;sex", "I2;L2;Melanoma, NOS;male")
    metadata = read_metadata([first, second])
    assert metadata.rows[["image_id", "dx", "metadata_row"]].to_numpy().tolist() == [
        ["I1", "nv", 0],
        ["I2", "mel", 1],
    ]
    assert metadata.rows["sex"].tolist()[1] == "male"
    assert metadata.repeated == ("I1",)


def test_tables_that_differ_in_a_diagnosis_leave_the_image_out(tmp_path: Path) -> None:
    first = put_table(tmp_path, "a.csv", "image_id,lesion_id,dx,age", "I1,L1,nv,40", "I2,L2,nv,40")
    second = put_table(tmp_path, "b.csv", "image_id,lesion_id,dx,age", "I1,L1,mel,40", "I2,L2,nv,50")
    metadata = read_metadata([first, second])
    assert metadata.conflicting == ("I1",)
    assert metadata.rows[["image_id", "age"]].to_numpy().tolist() == [["I2", 40.0]]
    assert any(note.startswith("age differs for 1 image") for note in metadata.notes)


def test_where_no_table_has_lesions_a_patients_images_stay_together_and_it_is_said(tmp_path: Path) -> None:
    """ISIC 2020, first edition. A patient is coarser than a lesion: nothing leaks."""
    table = put_table(tmp_path, "2020.csv", "image_name,patient_id,diagnosis", "I1,P1,nevus", "I2,P1,melanoma")
    metadata = read_metadata([table])
    assert metadata.rows["lesion_id"].tolist() == ["P1", "P1"]
    assert any("patient_id count as one lesion" in note for note in metadata.notes)


# What to do with classes


def test_classes_are_mapped_and_dropped() -> None:
    lines = ["image_id,lesion_id,dx", "I1,L1,nv", "I2,L2,SCC", "I3,L3,unknown", "I4,,mel"]
    data = "\n".join(lines).encode()
    metadata = parse_metadata(data, "m.csv", mapped=["scc=akiec"], dropped=["unknown", "no-lesion"])
    assert metadata.rows[["image_id", "dx", "metadata_row"]].to_numpy().tolist() == [
        ["I1", "nv", 0],
        ["I2", "akiec", 1],
    ]
    assert metadata.dropped == {"I3": "unknown", "I4": "no-lesion"}
    assert sorted(metadata.image_ids()) == ["I1", "I2", "I3", "I4"]


def test_how_a_table_was_read_is_said() -> None:
    [note] = parse_metadata(b"IMAGE;lesion_id;dx\nI1;L1;Melanoma, NOS\n", "m.csv").notes
    assert note == (
        "m.csv: 1 rows, semicolon-separated, UTF-8; image_id is read from IMAGE; dx 'Melanoma, NOS' as mel (1)"
    )


# What is no file


def test_a_pipe_and_a_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for place in (str(tmp_path / "pipe.csv"), "/dev/zero"):
        with pytest.raises(RequestError, match=f"^--metadata {place}: is a pipe or a device; give a CSV file$"):
            read_metadata([place])


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # takes no room on disk
    with pytest.raises(RequestError, match=r"huge.csv: has 268,435,457 bytes, the limit is 268,435,456"):
        read_metadata([str(tmp_path / "huge.csv")])


@pytest.mark.skipif(not REAL_DATA.joinpath("ham10000").is_dir(), reason="the real HAM10000 is not here")
def test_the_real_one_is_read() -> None:
    [path] = REAL_DATA.joinpath("ham10000").rglob("*etadata*.csv")
    metadata = read_metadata([str(path)])
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
