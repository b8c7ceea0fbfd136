"""HAM10000's and ISIC's tables, recognised by the names of their columns: which column says what.

- HAM10000: image_id, lesion_id, dx, dx_type, age, sex, localization
- ISIC 2018, task 3: image, and a column for each class (MEL, NV, ...) with one 1 in each row; the lesions are
  in a second file (image, lesion_id, diagnosis_confirm_type)
- ISIC 2019: likewise with AK for akiec, SCC and UNK; its second file has image, age_approx,
  anatom_site_general, lesion_id, sex
- ISIC 2020: image_name, patient_id, lesion_id (not in its first edition), sex, age_approx,
  anatom_site_general_challenge, diagnosis
- an export of the ISIC archive: isic_id, lesion_id, diagnosis or diagnosis_1 (general) to diagnosis_5
  (particular), diagnosis_confirm_type, age_approx, sex, anatom_site_general
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

COLUMNS = ("image_id", "lesion_id", "patient_id", "dx", "dx_type", "age", "sex", "localization")
"""What is read of a table, by the names that HAM10000 uses."""

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
}
"""The names of each column in the order in which they are looked for; several together go from the general to
the particular, and the last that says something counts."""

_ONE_HOT = (*DIAGNOSES, "ak", "scc", "unk")
_SHOWN = 20


@dataclass(frozen=True)
class Form:
    """Where a table says what.

    Attributes:
        header: the names of its columns, as they stand there.
        positions: for each of COLUMNS that the table has, the places of its columns, the general first.
        one_hot: where dx is said by one column a class: the place of each.
    """

    header: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    one_hot: dict[str, int]

    def has(self, column: str) -> bool:
        """Whether the table says this."""
        return column in self.positions or (column == "dx" and bool(self.one_hot))

    def renamed(self) -> dict[str, str]:
        """Columns that are not called as HAM10000 calls them, and how the table does."""
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
    """Find the columns of a table by their names, whatever their case.

    Raises:
        ValueError: two columns have the same name. One line without the name of the file.
    """
    names = [_folded(name) for name in header]
    for name, count in Counter(names).items():
        if name and count > 1:
            as_written = [one.strip() for one, other in zip(header, names, strict=True) if other == name]
            raise ValueError(f"has {count} columns {name} ({shown(as_written)}): leave one of them")
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
    """COLUMNS of some rows that the table has, and `line`; values without the spaces around them.

    Arrow's text, because Python's takes 50 bytes more a value.

    Raises:
        ValueError: a row of one column a class has no 1, or several. One line, which begins with the line of
            the file.
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
    """Names of columns for one line of a message."""
    short = [" ".join(name.split())[:40] for name in names[:_SHOWN]]
    return ", ".join([*short, *(["…"] if len(names) > _SHOWN else [])])


def _folded(name: str) -> str:
    """A name as it is compared: `\ufeffImage ID ` is image_id."""
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff").strip().casefold())


def _last_said(levels: list[list[str]], named: bool) -> list[str]:
    """The most particular value of each row; of diagnoses the most particular that is one of the seven."""
    chosen = []
    for row in zip(*levels, strict=True):
        said = [value for level in reversed(row) if (value := level.strip())]
        ours = next((value for value in said if class_of(value) in DIAGNOSES), None) if named else None
        chosen.append(ours or (said[0] if said else ""))
    return chosen


def _named_by_one(form: Form, piece: Piece) -> list[str]:
    """The class whose column holds the one 1 of each row."""
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
            raise ValueError(f"{where}: one class must be 1 and the others 0; here is {given[:200]}")
        named.append(classes[values.index(1)])
    return named


@lru_cache(4096)
def _number(value: str) -> float | None:
    """A number of a table, also with a comma, and pandas' True and False; 0 where it is blank."""
    text = value.strip().casefold()
    try:
        return float({"true": "1", "false": "0", "": "0"}.get(text, text.replace(",", ".")))
    except ValueError:
        return None
