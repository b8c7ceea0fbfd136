"""Detect the encoding, separator and line ends of a CSV file, and read its rows.

Python's csv module splits the rows, because it knows at which line of the file each of them begins. pandas is
faster (37 CPU ms for 50,000 rows, this module 95) but hides damage: of 12 rows with one missing quote it reads
7, and it fills up a row with too few values. `csv.Sniffer` fails on doubled quotes.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe"}
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
NOT_TEXT = {
    b"PK\x03\x04": "a zip file, as .xlsx and .ods are",
    b"\x1f\x8b": "a gzip file",
    b"PAR1": "a Parquet file",
}
MOST_LINES = 100
"""The largest number of lines in a row: an unclosed quote would turn the rest of the file into one value."""
SAMPLE_ROWS = 20
"""Rows from which the separator is detected."""
_PIECE = 2**20
_TRANSPOSED = 256
"""Rows that are Python lists at the same time. Python collects garbage after every 700 new containers: 50,000
rows took 132 ms with 5,000 lists at a time, and 41 ms with this few."""
_WHY = {
    "unexpected end of data": "a quote is not closed",
    "field larger than field limit": "it has a value of more than 131,072 characters; is a quote not closed?",
}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The encoding and separator of a table.

    Attributes:
        encoding: Python's name: utf-8, utf-16-le, utf-16-be or cp1252.
        separator: the character between values.
        says_separator: whether the first line is Excel's `sep=;`, which is not a row.
    """

    encoding: str
    separator: str
    says_separator: bool = False

    def __str__(self) -> str:
        name = {"cp1252": "Windows-1252"}.get(self.encoding, self.encoding.upper())
        return f"{SEPARATORS[self.separator]}-separated, {name}"


@dataclass(frozen=True)
class Piece:
    """Some rows of a table: the values of each column, and the line of the file at which each row begins."""

    lines: list[int]
    columns: list[list[str]]


def find_dialect(data: bytes) -> Dialect:
    """Detect the dialect of a table.

    A first line `sep=;` gives the separator. Otherwise it is the one that splits the header into several
    columns and most of the first rows into the same number.

    Raises:
        ValueError: this is not text, or it has NUL characters or a line of half a million characters. One line,
            without the name of the file.
    """
    for signature, kind in NOT_TEXT.items():
        if data.startswith(signature):
            raise ValueError(f"is {kind}: save the table as CSV")
    encoding = _encoding(data)
    _check_text(data, encoding)
    first = _text(data, encoding).readline()
    if said := _SEPARATOR_LINE.fullmatch(first):
        if said[1] not in SEPARATORS:
            raise ValueError(
                f"line 1: {first.strip()!r}: the separator must be one of {', '.join(SEPARATORS.values())}"
            )
        return Dialect(encoding, said[1], says_separator=True)
    return max((Dialect(encoding, separator) for separator in SEPARATORS), key=lambda one: _fits(data, one))


def read_rows(data: bytes, dialect: Dialect, at_once: int) -> Iterator[Piece]:
    """Yield the rows of a table in pieces, because all at once would take far more memory than the file.

    The first piece is the header alone. Lines without any value, which Excel leaves at the end of a file, are
    skipped.

    Args:
        data: the whole file.
        dialect: the result of `find_dialect`.
        at_once: approximate number of rows in a piece.

    Raises:
        ValueError: a row has another number of values than the header (blank values at its end are ignored), or
            a quote is not closed. One line, which begins with the line of the file.
    """
    records = _records(data, dialect)
    header = next(records, None)
    if header is None:
        return
    yield Piece([header[0]], [[name] for name in header[1]])
    width = len(header[1])
    piece = Piece([], [[] for _ in range(width)])
    while rows := list(islice(records, _TRANSPOSED)):
        for line, row in rows:
            if len(row) > width and not any(value.strip() for value in row[width:]):
                del row[width:]  # separators at the end that the header does not have
            if len(row) != width:
                shown = f" ({row[0].strip()[:40]})" if row[0].strip() else ""
                raise ValueError(f"line {line}{shown}: has {len(row)} values, the header has {width} columns")
        piece.lines.extend(line for line, _ in rows)
        for column, values in zip(piece.columns, zip(*(row for _, row in rows), strict=True), strict=True):
            column.extend(values)
        if len(piece.lines) >= at_once:
            yield piece
            piece = Piece([], [[] for _ in range(width)])
    if piece.lines:
        yield piece


def _refuse_rows_within(row: list[str], separator: str) -> None:
    """Refuse a value that contains a whole row: two stray quotes turn the rows between them into one value.

    Prose of several lines may contain as many separators as a row, but with spaces after them.
    """
    for value in row:
        for inner in re.split(r"[\r\n]+", value) if "\n" in value or "\r" in value else ():
            values = inner.split(separator)
            if len(values) == len(row) > 2 and not any(one[:1].isspace() for one in values[1:]):
                raise csv.Error("one of its values contains a whole row; is a quote not closed?")


def _records(data: bytes, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that has a value, with the line at which it begins."""
    reader = csv.reader(
        _text(data, dialect.encoding), delimiter=dialect.separator, skipinitialspace=True, strict=True
    )
    begins, skipped = 1, dialect.says_separator
    try:
        for row in reader:
            if reader.line_num - begins >= MOST_LINES:
                raise csv.Error(f"it takes more than {MOST_LINES} lines; is a quote not closed?")
            if reader.line_num > begins:
                _refuse_rows_within(row, dialect.separator)
            if not skipped and row and (row[0] or any(value.strip() for value in row)):
                yield begins, row
            begins, skipped = reader.line_num + 1, False
    except csv.Error as error:  # Python stops at a value of 131,072 characters
        why = _WHY.get(str(error).partition(" (")[0], str(error))
        raise ValueError(f"line {begins}: the row that begins here cannot be read: {why}") from error


def _fits(data: bytes, dialect: Dialect) -> tuple[bool, int, int]:
    """Rate a separator: whether it gives several columns, how many rows match the header, how many columns."""
    widths: list[int] = []
    with suppress(ValueError):  # reading the rows will report it
        widths.extend(len(row) for _, row in islice(_records(data, dialect), SAMPLE_ROWS + 1))
    columns = widths[0] if widths else 0
    return (columns > 1, widths.count(columns), columns)


def _text(data: bytes, encoding: str) -> io.TextIOWrapper:
    """Open the file as text, decoded piece by piece, with its own line ends (LF, CR LF or CR)."""
    source = io.BytesIO(data)
    source.seek(next((len(mark) for mark in BYTE_ORDER_MARKS if data.startswith(mark)), 0))
    return io.TextIOWrapper(source, encoding, newline="")


def _encoding(data: bytes) -> str:
    """Detect the encoding: byte order mark; UTF-16 if every other byte is NUL; UTF-8; else Windows-1252.

    Windows-1252 has a character for nearly every byte, so it is tried last.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return encoding
    first = data[:16]  # names of columns, which are ASCII
    if len(first) > 1:
        nuls = [byte == 0 for byte in first]
        if all(nuls[1::2]) and not any(nuls[::2]):
            return "utf-16-le"
        if all(nuls[::2]) and not any(nuls[1::2]):
            return "utf-16-be"
    for encoding in ("utf-8", "cp1252"):
        try:
            for _ in _pieces(data, encoding):
                pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise ValueError("is neither UTF-8, UTF-16 nor Windows-1252 text: give a CSV file")


def _check_text(data: bytes, encoding: str) -> None:
    """Refuse data that is not text in lines: it has NUL characters, or lines of half a megabyte."""
    lines = 1
    for piece in _pieces(data, encoding):
        if "\0" in piece:
            lines += _line_ends(piece[: piece.index("\0")])
            raise ValueError(f"line {lines}: has NUL characters, so it is not text: give a CSV file")
        if not (ends := _line_ends(piece)) and len(piece) >= _PIECE // 2:
            raise ValueError(f"line {lines}: is longer than {_PIECE // 2:,} characters: give a CSV file")
        lines += ends


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _pieces(data: bytes, encoding: str) -> Iterator[str]:
    """Decode the text in pieces. Raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(data), _PIECE):
        yield decoder.decode(data[start : start + _PIECE])
    decoder.decode(b"", final=True)
