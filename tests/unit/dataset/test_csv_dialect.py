"""Tests of skinml/dataset/csv_dialect.py: however a table is written, it reads back equal, at its own lines."""

from __future__ import annotations

import csv
import io
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.dataset.csv_dialect import MOST_LINES, SEPARATORS, Dialect, find_dialect, read_rows
from tests.effort import examples

Rows = list[list[str]]

HEADER = ["image_id", "lesion_id", "dx", "note"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
QUOTED = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "not numbers": csv.QUOTE_NONNUMERIC}


def written(rows: Rows, separator: str, eol: str, quoting: int, encoding: str, before: str = "") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=eol, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return (before + text.getvalue()).encode(encoding)


def read(data: bytes, at_once: int = 1000) -> tuple[Rows, list[int]]:
    rows: Rows = []
    lines: list[int] = []
    for piece in read_rows(data, find_dialect(data), at_once):
        rows.extend(map(list, zip(*piece.columns, strict=True)))
        lines.extend(piece.lines)
    return rows, lines


def refusal_of(data: bytes) -> str:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the words are what is tested
        read(data)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def like_a_row(value: str) -> bool:
    return any(value.count(separator) >= len(HEADER) - 1 for separator in SEPARATORS)


# cp1252 has these; what a value may hold besides: separators, quotes, line ends, blanks inside. Not what looks
# like a whole row, which is refused.
VALUES = st.text(alphabet="aZ0ä€ß'\";,|\t. \n", min_size=1, max_size=12).filter(
    lambda value: value == value.lstrip(" ") and value.strip() and not ("\n" in value and like_a_row(value))
)


@settings(max_examples=examples(150))
@given(
    rows=st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=6),
    separator=st.sampled_from(list(SEPARATORS)),
    encoding=st.sampled_from(ENCODINGS),
    eol=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from(list(QUOTED.values())),
    blank=st.integers(0, 3),
    says=st.booleans(),
)
def test_any_table_reads_back_equal(
    rows: Rows, separator: str, encoding: str, eol: str, quoting: int, blank: int, says: bool
) -> None:
    table = [HEADER, *rows]
    if eol == "\r":  # the writer quotes the ends of its own lines alone
        quoting = csv.QUOTE_ALL
    data = written(table, separator, eol, quoting, encoding, f"sep={separator}{eol}" if says else "")
    data += (eol * blank).encode("utf-16-le" if encoding == "utf-16" else encoding.removesuffix("-sig"))
    assert read(data, at_once=2)[0] == table


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("image_id,x\nä,1\n".encode(), "utf-8"),
        ("image_id,x\nä,1\n".encode("utf-8-sig"), "utf-8"),
        ("image_id,x\nä,1\n".encode("utf-16"), "utf-16-le"),
        ("\ufeffimage_id,x\nä,1\n".encode("utf-16-be"), "utf-16-be"),
        ("image_id,x\nä,1\n".encode("utf-16-be"), "utf-16-be"),
        ("image_id,x\nä,1\n".encode("utf-16-le"), "utf-16-le"),
        ("image_id,x\nä,1\n".encode("cp1252"), "cp1252"),
    ],
)
def test_the_encoding_is_recognised(data: bytes, encoding: str) -> None:
    assert find_dialect(data) == Dialect(encoding, ",")
    assert read(data)[0] == [["image_id", "x"], ["ä", "1"]]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("image_id;dx;size (mm, about)\na;nv;3,5\nb;nv;4,0\n", ";"),  # decimal commas in every row
        ("image_id,note\na,x;y;z\nb,x;y;z\n", ","),
        ("image_id\tnote\na\tone, two, three\n", "\t"),
        ("image_id|dx\na|nv\n", "|"),
        ('"image_id";"dx"\n"a";"nv"\n', ";"),
        ("sep=;\nimage_id;dx\na;nv\n", ";"),
        ('"sep=|"\r\nimage_id|dx\r\na|nv\r\n', "|"),
        ("image_id\na\n", ","),  # nothing to separate
    ],
)
def test_the_separator_is_recognised(text: str, separator: str) -> None:
    assert find_dialect(text.encode()).separator == separator


def test_a_row_is_at_the_line_of_the_file_where_it_begins() -> None:
    text = 'sep=;\n\nimage_id;note\n\n\na;"two\nlines"\n;\n\r\nb;c\r"d";e\n'
    rows, lines = read(text.encode())
    assert rows == [["image_id", "note"], ["a", "two\nlines"], ["b", "c"], ["d", "e"]]
    assert lines == [3, 6, 10, 11]


def test_lines_without_a_value_are_no_rows() -> None:
    assert read(b"image_id;dx\na;nv\n;\n ; \n\n")[0] == [["image_id", "dx"], ["a", "nv"]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\n1,2\n\n1,2,3\n", "line 4 (1): has 3 values, the header has 2 columns"),
        (b'a,b\n"1\n1",2\n1\n', "line 4 (1): has 1 values, the header has 2 columns"),
        (b"a,b\n ,\n,2,3\n", "line 3: has 3 values, the header has 2 columns"),
        (b'a,b\n1,2\n"1,2\n1,2\n', "line 3: the row that begins here cannot be read: a quote is not closed"),
        (b'a,b\n1,"2"x\n', "line 2: the row that begins here cannot be read: ',' expected after '\"'"),
        (b"a,b\n1,2\n1,\0\n", "line 3: has NUL characters, so it is not text: give a CSV file"),
        ("a,b\n1,2\n1,\0\n".encode("utf-16"), "line 3: has NUL characters, so it is not text: give a CSV file"),
        (b"sep=:\na:b\n", "line 1: 'sep=:': the separator must be one of comma, tab, semicolon, pipe"),
        (b"PK\x03\x04more", "is a zip file, as .xlsx and .ods are: save the table as CSV"),
        (b"\x1f\x8b\x08", "is a gzip file: save the table as CSV"),
        (b"a,b\n\x81\x8d,1\n", "is neither UTF-8, UTF-16 nor Windows-1252 text: give a CSV file"),
        (
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
            "line 1: has NUL characters, so it is not text: give a CSV file",
        ),
        (b"x" * 3_000_000, "line 1: is longer than 524,288 characters: give a CSV file"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(data: bytes, words: str) -> None:
    assert refusal_of(data) == words


@pytest.mark.parametrize("closed", [True, False], ids=["closed at the end", "never closed"])
def test_a_quote_that_swallows_the_file_is_refused_at_once(closed: bool) -> None:
    lines = [b"image_id,lesion_id,dx"] + [b"ISIC_%07d,L,nv" % number for number in range(200_000)]
    lines[1234] = b'"' + lines[1234]
    data = b"\n".join(lines) + (b'"\n' if closed else b"\n")
    tracemalloc.start()
    began = time.process_time()
    assert refusal_of(data).startswith("line 1235: the row that begins here cannot be read: ")
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()
    assert time.process_time() - began < 5  # tracing makes it ten times slower: 0.03 s without


def test_a_quote_over_few_lines_is_a_value_and_over_many_is_not() -> None:
    def table(lines: int) -> bytes:
        return b'a,b\n1,"' + b"x\n" * lines + b'"\n'

    assert read(table(MOST_LINES - 10))[0][1][1] == "x\n" * (MOST_LINES - 10)
    assert f"takes more than {MOST_LINES} lines" in refusal_of(table(MOST_LINES + 10))


def test_separators_at_the_end_of_rows_alone_are_passed_over() -> None:
    assert read(b"a,b,c\n1,2,3,\n4,5,6,,\n") == ([["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]], [1, 2, 3])
    assert refusal_of(b"a,b,c\n1,2,3,,x\n") == "line 2 (1): has 5 values, the header has 3 columns"


@pytest.mark.parametrize(
    "rows",
    [b'1,2,"3\n4,5,6\n7,8,9"\n', b'1,2,"3\n4,5,6"\n', b'"1,2,3\n4",5,6\n', b'"1,2,3\r\n4,5,6\r\n7",8,9\r\n'],
)
def test_two_quotes_too_many_do_not_swallow_the_rows_between_them(rows: bytes) -> None:
    words = refusal_of(b"a,b,c\nx,y,z\n" + rows)
    assert words.startswith("line 3: ")
    assert words.endswith("one of its values contains a whole row; is a quote not closed?")


def test_prose_of_several_lines_is_a_value() -> None:
    note = "large, dark, irregular\nfirm, round, brown"
    assert read(f'a,b,c\n1,2,"{note}"\n'.encode())[0][1] == ["1", "2", note]


def test_a_quote_that_swallows_a_hundred_thousand_characters_is_called_that() -> None:
    data = b'a,b,c\n"1,2,3\n' + b"4,5,6\n" * 50_000
    assert refusal_of(data).endswith("it has a value of more than 131,072 characters; is a quote not closed?")
