"""The metadata table of labelled images: read, checked, its repetitions named."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from skinml.errors import RequestError, StorageError
from skinml.labels import DIAGNOSES
from skinml.storage.objects import read_bytes
from skinml.storage.urls import normalise

NEEDED = ("image_id", "lesion_id", "dx")
ROWS_AT_ONCE = 5_000
OPTIONAL = ("dx_type", "age", "sex", "localization")


@dataclass(frozen=True)
class Metadata:
    """Labels of images.

    Attributes:
        rows: one row per image_id: image_id, lesion_id, dx, dx_type, age (years or NaN), sex, localization,
            metadata_row (position in the source).
        repeated: image_ids that stand several times with the same values; one row of each is kept.
        conflicting: image_ids that stand several times with different values; none is kept.
    """

    rows: pd.DataFrame
    repeated: tuple[str, ...]
    conflicting: tuple[str, ...]


def read_metadata(url: str) -> Metadata:
    """Read and check a metadata CSV in HAM10000's layout. Raises RequestError, in one line."""
    place = normalise(url)
    try:
        data = read_bytes(place)
    except StorageError as error:
        raise RequestError(f"--metadata {error}; name a CSV file") from error
    return parse_metadata(data, place)


def parse_metadata(data: bytes, name: str) -> Metadata:
    """Check the bytes of a metadata CSV.

    Args:
        data: UTF-8 CSV with a header.
        name: what errors call it.

    Raises:
        RequestError: not a CSV, a needed column is missing, a needed value is blank, a dx is none of the
            seven, an age is not a number. The line names the first offender.
    """
    try:
        pieces = [_columns(piece, name) for piece in _pieces(data)]
    except (ValueError, pd.errors.ParserError) as error:
        raise RequestError(f"--metadata {name}: not a CSV table: {str(error).splitlines()[0]}") from error
    rows = pd.concat(pieces, ignore_index=True)
    for column in NEEDED:
        _refuse(name, rows, rows[column] == "", f"{column} is blank")
    _refuse(name, rows, ~rows["dx"].isin(DIAGNOSES), f"dx is none of {', '.join(DIAGNOSES)}", "dx")
    age = pd.to_numeric(rows["age"], errors="coerce")
    _refuse(name, rows, rows["age"].notna() & ~age.between(0, 150), "age is not a number of years", "age")
    rows["age"] = age.astype("float64")
    rows["metadata_row"] = range(len(rows))
    return _without_repetitions(rows)


def _pieces(data: bytes) -> Iterator[pd.DataFrame]:
    """The table as text, piece by piece: read at once, 50,000 rows would take 44 MiB of Python strings."""
    with pd.read_csv(
        io.BytesIO(data), dtype=str, keep_default_na=False, skipinitialspace=True, chunksize=ROWS_AT_ONCE
    ) as reader:
        yield from reader


def _columns(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The columns that are used, without the spaces around values; null where an optional one is blank."""
    missing = [column for column in NEEDED if column not in table.columns]
    if missing:
        raise RequestError(
            f"--metadata {name}: has no column {', '.join(missing)} (it has {', '.join(table.columns)})"
        )
    rows = pd.DataFrame({column: table[column].str.strip() for column in NEEDED})
    for column in OPTIONAL:
        given = table[column].str.strip() if column in table.columns else pd.Series("", index=table.index)
        rows[column] = given.where(given != "", None)  # astype("str") of pandas 2 would make it the text 'None'
    return rows


def _refuse(name: str, rows: pd.DataFrame, wrong: pd.Series, why: str, column: str | None = None) -> None:
    if wrong.any():
        first = rows[wrong].iloc[0]
        value = f" {first[column]!r}:" if column else ""
        line = int(wrong.to_numpy().argmax()) + 2  # the header is line 1
        raise RequestError(
            f"--metadata {name}: line {line} ({first['image_id'] or 'no image_id'}):{value} {why}"
        )


def _without_repetitions(rows: pd.DataFrame) -> Metadata:
    several = rows[rows["image_id"].duplicated(keep=False)]  # few, so only these are compared by all columns
    distinct = several.drop_duplicates([column for column in rows.columns if column != "metadata_row"])
    conflict = distinct["image_id"].duplicated(keep=False)
    conflicting = tuple(sorted(distinct.loc[conflict, "image_id"].unique()))
    repeated = tuple(sorted(set(several["image_id"]) - set(conflicting)))
    dropped = several.index.difference(distinct.index[~conflict])
    return Metadata(rows.drop(index=dropped).reset_index(drop=True), repeated, conflicting)
