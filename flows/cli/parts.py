"""Sort a result for people: counts first, then tables, then names and places; and show single values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TELLING = ("models", "metrics", "honest", "reasons", "flags")
"""Tables that stand before the others."""


OF_SCORES = (
    "scored",
    "metrics",
    "honest",
    "balanced_accuracy",
    "precisions",
    "intervals",
    "criteria",
    "decision",
    "models",
    "promotions",
    "health",
    "nearest",
    "issues",
)
"""A result with one of these keys ends with RESEARCH_ONLY."""


RESEARCH_ONLY = "Research software: not a medical device."


UNITS = {"seconds": "s", "images_per_second": "images/s"}


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Parts:
    """A result sorted for people: counts first, then tables, then texts such as names and places."""

    numbers: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Sequence[Row] | Row] = field(default_factory=dict)  # a dictionary alone is no rows
    texts: dict[str, list[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    note: str = ""


INTERVALS_OF = {"metrics": "intervals", "honest": "honest_intervals"}
"""The intervals of a table of metrics, which a terminal shows beside them."""


def sort_out(result: Mapping[str, Any]) -> Parts:
    """Sort a result by what people look for first; nested dictionaries become tables."""
    parts = Parts(note=RESEARCH_ONLY if any(key in result for key in OF_SCORES) else "")
    early = [key for key in TELLING if key in result]
    for key, value in {**{key: result[key] for key in early}, **result}.items():
        if value in (None, "", [], {}) and value is not False:
            parts.empty.append(key)
        elif is_number(value) and not key.endswith("_version"):  # which is a name
            parts.numbers[key] = value
        elif (rows := as_rows(value)) is not None:
            parts.tables[key] = rows
        elif isinstance(value, Mapping):
            parts.tables[key] = value
            nested = {f"{key}.{name}": as_rows(one) for name, one in value.items()}
            parts.tables.update({name: rows for name, rows in nested.items() if rows is not None})
        else:
            parts.texts[key] = [shown(one) for one in (value if isinstance(value, list | tuple) else [value])]
    return parts


def as_rows(value: Any) -> list[dict[str, Any]] | None:
    """A list of rows, or rows by name, as rows; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return value
    if isinstance(value, Mapping) and value and all(isinstance(row, Mapping) for row in value.values()):
        return [{"": name, **row} for name, row in value.items()]
    return None


def scalars(row: Row) -> dict[str, Any]:
    """What of a dictionary fits into a line; the rest has a table of its own, or is for programs."""
    return {
        name: value
        for name, value in row.items()
        if is_interval(value) or not isinstance(value, Mapping | list | tuple)
    }


def is_interval(value: Any) -> bool:
    """Whether a value is two numbers, low and high."""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(is_number, value))


def is_number(value: Any) -> bool:
    """Whether a value is a number, which yes and no are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether a column stands to the right: some are numbers, and what is none is missing."""
    known = [value for value in values if value is not None]
    return bool(known) and all(map(is_number, known))


def shown(value: Any, commas: bool = False) -> str:
    """A value as people read it: four digits, yes and no, no control characters."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        digits = "" if isinstance(value, int) else ".0f" if 1000 <= abs(value) < 1e15 else ".4g"
        return format(value, f",{digits}" if commas else digits)
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(name)} {shown(one, commas)}" for name, one in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(shown(one, commas) for one in value) or "-"
    return clean(value)


def clean(value: Any) -> str:
    """One line without control characters: an object's key may hold an ESC, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(str(value).split()))
