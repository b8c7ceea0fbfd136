"""Read one metadata file, check its values, and convert them to HAM10000's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from skinml.dataset.csv_dialect import find_dialect, read_rows
from skinml.dataset.diagnosis_names import class_of
from skinml.dataset.isic_forms import COLUMNS, Form, read_columns, recognise, shown
from skinml.dataset.metadata_file import read_metadata_file
from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.storage.urls import normalise

ROWS_AT_ONCE = 2_000

MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "?"})
"""Texts that programs write for a missing value, in lower case."""

UNKNOWN = MISSING | {"unknown"}

DX_TYPES = {
    "histopathology": "histo",
    "serial imaging showing no change": "follow_up",
    "single image expert consensus": "consensus",
    "confocal microscopy with consensus dermoscopy": "confocal",
}
"""ISIC's names for values of HAM10000, from their files for the same images (ISIC 2018, task 3)."""


@dataclass(frozen=True, eq=False)
class Table:
    """One file of metadata.

    Attributes:
        name: its name in messages.
        form: the columns that it has.
        rows: isic_forms.COLUMNS, where dx is a class (see `class_of`) and age is in years, null if unknown; and
            `line` of the file.
        note: how it was read, for the log.
    """

    name: str
    form: Form
    rows: pd.DataFrame
    note: str


def read_table(url: str) -> Table:
    """Read and check one file of metadata.

    Raises:
        RequestError: see `parse_table`; or it is not a file, or has more than 256 MiB.
    """
    return parse_table(read_metadata_file(url), normalise(url))


def parse_table(data: bytes, name: str) -> Table:
    """Parse and check the bytes of one file.

    Args:
        data: CSV with a header, in any dialect, encoding and form of HAM10000 or ISIC.
        name: its name in messages.

    Raises:
        RequestError: it is not such a table, an image_id is blank, or an age is not a number of years. The
            message names the first such row.
    """
    try:
        dialect = find_dialect(data)
        pieces = read_rows(data, dialect, ROWS_AT_ONCE)
        header = next(pieces, None)
        if header is None:
            raise ValueError("is empty")
        form = recognise([name for [name] in header.columns])
        if not form.has("image_id"):
            raise ValueError(f"has no column image_id, isic_id, image_name or image (it has {form})")
        parts = [read_columns(form, piece) for piece in pieces]
        if not parts:
            raise ValueError(f"has no rows below its header ({form})")
    except ValueError as error:
        raise RequestError(f"--metadata {name}: {' '.join(str(error).split())}") from error
    rows = pa.concat_tables(parts).to_pandas()
    refuse(name, rows, rows["image_id"] == "", "image_id is blank")
    for column in ("image_id", "lesion_id", "patient_id"):
        if column in rows:
            # A line break alone may be part of a file's name. Together with a separator, it is the end of one
            # row and the beginning of the next.
            ids = rows[column].str
            broken = ids.contains(r"[\r\n]", regex=True) & ids.contains(dialect.separator, regex=False)
            refuse(name, rows, broken, f"{column} contains a line break; is a quote not closed?", column)
    renamed = ", ".join(f"{column} is read from {shown([there])}" for column, there in form.renamed().items())
    note = f"{name}: {len(rows)} rows, {dialect}{'; ' if renamed else ''}{renamed}"
    for column in COLUMNS:
        if column not in rows:
            rows[column] = pd.Series("", index=rows.index, dtype="str")
    if form.has("dx"):
        note += _said_of_classes(rows["dx"])
        rows["dx"] = each_text(rows["dx"], class_of)
    age = each(rows["age"], _years).astype("float64")
    refuse(name, rows, age < 0, "age is not a number of years", "age")
    rows["age"] = age
    for column in ("dx_type", "localization", "source"):
        rows[column] = each_text(rows[column], lambda value: _unless(MISSING, DX_TYPES.get(value, value)))
    rows["sex"] = each_text(rows["sex"], lambda value: _unless(UNKNOWN, value))
    for column in ("lesion_id", "patient_id"):
        rows[column] = rows[column].where(~rows[column].str.lower().isin(UNKNOWN), None)
    return Table(name, form, rows, note)


def refuse(name: str, rows: pd.DataFrame, wrong: pd.Series, why: str, column: str | None = None) -> None:
    """Raise RequestError if any row is wrong; the message names the first."""
    if wrong.any():
        first = rows[wrong].iloc[0]
        value = f" {first[column]!r}:" if column else ""
        raise RequestError(
            f"--metadata {name}: line {first['line']} ({first['image_id'] or 'no image_id'}):{value} {why}"
        )


def each(values: pd.Series, change: Callable[[str], object]) -> pd.Series:
    """Apply a function to each distinct value of a text column."""
    codes, distinct = pd.factorize(values)
    changed = pd.Series([change(value) for value in distinct], dtype=object)
    found: pd.Series = changed.take(codes).set_axis(values.index)
    return found


def each_text(values: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """Apply a function that returns text to each distinct value; "" becomes null."""
    codes, distinct = pd.factorize(values)
    changed = pd.Series([change(value) for value in distinct], dtype="str")
    found: pd.Series = changed.where(changed != "", None).take(codes).set_axis(values.index)
    return found


def _years(text: str) -> float:
    """Parse an age: 50,0 and 85+ are 50.0 and 85; NaN if it is unknown, -1 if it is not an age."""
    if text.casefold() in UNKNOWN:
        return math.nan
    number = text.removesuffix("+").strip().replace(",", ".", 1)
    plain = number.replace(".", "", 1)
    return float(number) if plain.isascii() and plain.isdigit() and float(number) <= 150 else -1.0


def _unless(missing: frozenset[str], text: str) -> str:
    return "" if text.casefold() in missing else text


def _said_of_classes(names: pd.Series) -> str:
    """Describe how diagnoses with other names were read; "" if there are none."""
    counts = names.value_counts()
    read = [
        f"{shown([str(name)])!r} as {class_of(str(name))} ({count})"
        for name, count in counts.items()
        if class_of(str(name)) in DIAGNOSES and str(name).casefold() != class_of(str(name))
    ]
    return f"; dx {', '.join(read[:20])}" if read else ""
