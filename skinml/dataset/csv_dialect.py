"""The bytes of a CSV file to its rows: encoding, separator, quotes and line ends are found out, not asked for.

The csv module of Python splits the rows, because it knows at which line of the file each of them begins.
pandas is faster (37 CPU ms for 50,000 rows, this 95) and hides damage: a table of 12 rows in which one quote is
lost has 7 rows, and a row with too few values is filled up. `csv.Sniffer` fails on doubled quotes.
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
"""Lines that one row may take. One quote that is not closed would make the rest of the file one value."""
SAMPLE_ROWS = 20
"""Rows that the separator is found out from."""
_PIECE = 2**20
_TRANSPOSED = 256
"""Rows that are lists at a time. Python looks for garbage at every 700 new objects that hold others: with 5,000
rows as lists at a time 50,000 of them took 132 ms, with so few 41 ms."""
_WHY = {
    "unexpected end of data": "a quote is not closed",
    "field larger than field limit": "it has a value of more than 131,072 characters; is a quote not closed?",
}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes:
        encoding: as Python names it: utf-8, utf-16-le, utf-16-be or cp1252.
        separator: the character between values.
        says_separator: whether the first line is Excel's `sep=;`, which is no row.
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
    """How these bytes are written.

    The separator is what a line `sep=;` at the top says; else the one that cuts the header into several
    columns, and the most of the first rows into as many.

    Raises:
        ValueError: this is no text, or has NUL characters or a line of half a million characters. One line,
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
                f"line 1: {first.strip()!r}: the separator is none of {', '.join(SEPARATORS.values())}"
            )
        return Dialect(encoding, said[1], says_separator=True)
    return max((Dialect(encoding, separator) for separator in SEPARATORS), key=lambda one: _fits(data, one))


def read_rows(data: bytes, dialect: Dialect, at_once: int) -> Iterator[Piece]:
    """The rows of a table in pieces: read at once, they would take far more than the file.

    The header is the first piece, by itself. Lines without any value are left out, as Excel leaves them at the
    end of a file.

    Args:
        data: the whole file.
        dialect: how it is written.
        at_once: rows in a piece, about.

    Raises:
        ValueError: a row has more or fewer values than the header (more may be blank), or a quote is not
            closed. One line, which begins with the line of the file.
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
                del row[width:]  # separators at the end, which the header has not
            if len(row) != width:
                shown = f" ({row[0].strip()[:40]})" if row[0].strip() else ""
                raise ValueError(f"line {line}{shown}: has {len(row)} values, and the header {width} columns")
        piece.lines.extend(line for line, _ in rows)
        for column, values in zip(piece.columns, zip(*(row for _, row in rows), strict=True), strict=True):
            column.extend(values)
        if len(piece.lines) >= at_once:
            yield piece
            piece = Piece([], [[] for _ in range(width)])
    if piece.lines:
        yield piece


def _refuse_rows_within(row: list[str], separator: str) -> None:
    """Refuse a value that holds a whole row: a quote too many, and another some lines below, swallow rows.

    Prose of several lines may hold as many separators as a row, but then with spaces after them.
    """
    for value in row:
        for inner in re.split(r"[\r\n]+", value) if "\n" in value or "\r" in value else ():
            values = inner.split(separator)
            if len(values) == len(row) > 2 and not any(one[:1].isspace() for one in values[1:]):
                raise csv.Error("a value of it holds a whole row; is a quote not closed?")


def _records(data: bytes, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each row that holds a value, and the line at which it begins."""
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
    """How well a separator fits: several columns; as many values in the first rows; the most columns."""
    widths: list[int] = []
    with suppress(ValueError):  # which whoever reads the rows will say
        widths.extend(len(row) for _, row in islice(_records(data, dialect), SAMPLE_ROWS + 1))
    columns = widths[0] if widths else 0
    return (columns > 1, widths.count(columns), columns)


def _text(data: bytes, encoding: str) -> io.TextIOWrapper:
    """The file as text, decoded piece by piece, with its line ends as they are (LF, CR LF or CR)."""
    source = io.BytesIO(data)
    source.seek(next((len(mark) for mark in BYTE_ORDER_MARKS if data.startswith(mark)), 0))
    return io.TextIOWrapper(source, encoding, newline="")


def _encoding(data: bytes) -> str:
    """What a byte order mark says; UTF-16 if every other byte is NUL at first; UTF-8; else Windows-1252.

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
    raise ValueError("is neither UTF-8, UTF-16 nor Windows-1252 text: name a CSV file")


def _check_text(data: bytes, encoding: str) -> None:
    """Refuse what is no text of lines: with NUL characters, or lines of a megabyte."""
    lines = 1
    for piece in _pieces(data, encoding):
        if "\0" in piece:
            lines += _line_ends(piece[: piece.index("\0")])
            raise ValueError(f"line {lines}: has NUL characters, as no text has: name a CSV file")
        if not (ends := _line_ends(piece)) and len(piece) >= _PIECE // 2:
            raise ValueError(f"line {lines}: is longer than {_PIECE // 2:,} characters: name a CSV file")
        lines += ends


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _pieces(data: bytes, encoding: str) -> Iterator[str]:
    """The text in pieces. Raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(data), _PIECE):
        yield decoder.decode(data[start : start + _PIECE])
    decoder.decode(b"", final=True)
