"""Recognise the columns of HAM10000's and ISIC's metadata tables by their names.

- HAM10000: image_id, lesion_id, dx, dx_type, age, sex, localization, dataset
- ISIC 2018, task 3: image, and a column for each class (MEL, NV, ...) with one 1 in each row; a second file has
  the lesions (image, lesion_id, diagnosis_confirm_type)
- ISIC 2019: the same with AK for akiec, SCC and UNK; its second file has image, age_approx,
  anatom_site_general, lesion_id, sex
- ISIC 2020: image_name, patient_id, lesion_id (not in its first edition), sex, age_approx,
  anatom_site_general_challenge, diagnosis
- an export of the ISIC archive: isic_id, lesion_id, diagnosis or diagnosis_1 (general) to diagnosis_5
  (particular), diagnosis_confirm_type, age_approx, sex, anatom_site_general, attribution
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from skinml.dataset.csv_dialect import Piece
from skinml.dataset.diagnosis_names import class_of
from skinml.labels import DIAGNOSES

COLUMNS = ("image_id", "lesion_id", "patient_id", "dx", "dx_type", "age", "sex", "localization", "source")
"""The columns that are read, by HAM10000's names; `source` is its `dataset`: where an image was taken."""

_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "image_id": (("image_id",), ("isic_id",), ("image_name",), ("image",)),
    "lesion_id": (("lesion_id",),),
    "patient_id": (("patient_id",),),
    "dx": (("dx",), ("diagnosis",), tuple(f"diagnosis_{level}" for level in range(1, 6))),
    "dx_type": (("dx_type",), ("diagnosis_confirm_type",)),
    "age": (("age",), ("age_approx",)),
    "sex": (("sex",),),
    "localization": (
        ("localization",),
        ("anatom_site_general",),
        ("anatom_site_general_challenge",),
        tuple(f"anatom_site_{level}" for level in range(1, 6)),
    ),
    "source": (("source",), ("dataset",), ("attribution",)),
}
"""The names of each column, in the order in which they are searched for. Several names together go from general
to specific, and the most specific value that is not blank is used."""

_ONE_HOT = (*DIAGNOSES, "ak", "scc", "unk")
_SHOWN = 20


@dataclass(frozen=True)
class Form:
    """The columns of a table.

    Attributes:
        header: the names of its columns, unchanged.
        positions: for each of COLUMNS that the table has, the positions of its columns, the general one first.
        one_hot: if there is one column for each class, its position by class.
    """

    header: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    one_hot: dict[str, int]

    def has(self, column: str) -> bool:
        """Whether the table has this column."""
        return column in self.positions or (column == "dx" and bool(self.one_hot))

    def renamed(self) -> dict[str, str]:
        """Return the columns with another name than in HAM10000, and their name in the table."""
        named = {
            column: " to ".join(dict.fromkeys((self.header[places[0]], self.header[places[-1]])))
            for column, places in self.positions.items()
        }
        if self.one_hot:
            named["dx"] = ", ".join(self.header[place] for place in self.one_hot.values())
        return {column: name for column, name in named.items() if name != column}

    def __str__(self) -> str:
        return shown(self.header)


def recognise(header: Sequence[str]) -> Form:
    """Find the columns of a table by their names, ignoring case.

    Raises:
        ValueError: two columns have the same name. One line without the name of the file.
    """
    names = [_folded(name) for name in header]
    for name, count in Counter(names).items():
        if name and count > 1:
            as_written = [one.strip() for one, other in zip(header, names, strict=True) if other == name]
            raise ValueError(f"has {count} columns {name} ({shown(as_written)}): keep only one of them")
    place = {name: number for number, name in enumerate(names)}
    positions = {}
    for column, choices in _NAMES.items():
        groups = ([place[name] for name in group if name in place] for group in choices)
        found = next((group for group in groups if group), [])
        if found:
            positions[column] = tuple(found)
    one_hot: dict[str, int] = {}
    classes = [name for name in _ONE_HOT if name in place]
    if "dx" not in positions and len(classes) > 1:
        one_hot = {name: place[name] for name in sorted(classes, key=place.__getitem__)}
    return Form(tuple(name.strip().strip("\ufeff") for name in header), positions, one_hot)


def read_columns(form: Form, piece: Piece) -> pa.Table:
    """Return those of COLUMNS that the table has, and `line`, for some rows; values are stripped of spaces.

    As Arrow text, because a Python string takes 50 bytes more per value.

    Raises:
        ValueError: with one column per class, a row has no 1 or several. One line, which begins with the line
            of the file.
    """
    found: dict[str, pa.Array] = {}
    for column, places in form.positions.items():
        levels = [piece.columns[place] for place in places]
        said = levels[0] if len(levels) == 1 else _last_said(levels, named=column == "dx")
        found[column] = pc.utf8_trim_whitespace(pa.array(said, pa.large_string()))
    if form.one_hot:
        found["dx"] = pa.array(_named_by_one(form, piece), pa.large_string())
    return pa.table({**found, "line": pa.array(piece.lines, pa.int64())})


def shown(names: Sequence[str]) -> str:
    """Join names of columns for a message of one line."""
    short = [" ".join(name.split())[:40] for name in names[:_SHOWN]]
    return ", ".join([*short, *(["…"] if len(names) > _SHOWN else [])])


def _folded(name: str) -> str:
    """Normalise a column name for comparison: `\ufeffImage ID ` becomes image_id."""
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff").strip().casefold())


def _last_said(levels: list[list[str]], named: bool) -> list[str]:
    """Return the most specific value of each row; for diagnoses the most specific one of the seven."""
    chosen = []
    for row in zip(*levels, strict=True):
        said = [value for level in reversed(row) if (value := level.strip())]
        ours = next((value for value in said if class_of(value) in DIAGNOSES), None) if named else None
        chosen.append(ours or (said[0] if said else ""))
    return chosen


def _named_by_one(form: Form, piece: Piece) -> list[str]:
    """Return the class whose column contains the 1, for each row."""
    classes = list(form.one_hot)
    named = []
    for number, row in enumerate(zip(*(piece.columns[place] for place in form.one_hot.values()), strict=True)):
        values = [_number(value) for value in row]
        if values.count(1) != 1 or values.count(0) != len(values) - 1:
            given = ", ".join(
                f"{name.upper()} {value.strip()}" for name, value in zip(classes, row, strict=True)
            )
            ids = piece.columns[form.positions["image_id"][0]]
            where = f"line {piece.lines[number]} ({ids[number].strip() or 'no image_id'})"
            raise ValueError(f"{where}: one class must be 1 and the others 0, but the row has {given[:200]}")
        named.append(classes[values.index(1)])
    return named


@lru_cache(4096)
def _number(value: str) -> float | None:
    """Parse a number, also with a decimal comma or as True or False; blank is 0."""
    text = value.strip().casefold()
    try:
        return float({"true": "1", "false": "0", "": "0"}.get(text, text.replace(",", ".")))
    except ValueError:
        return None
