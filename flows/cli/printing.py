"""Results on stdout: a line of JSON for programs, tables for a terminal, plain lines for anything else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RESEARCH_ONLY = "Research software: not a medical device."

OF_SCORES = (
    "scored",
    "metrics",
    "honest",
    "balanced_accuracy",
    "precisions",
    "intervals",
    "criteria",
    "health",
)
"""A result with one of these keys ends with RESEARCH_ONLY."""

UNITS = {"seconds": "s", "images_per_second": "images/s"}

VERBATIM = "script"
"""A result with this key is for a shell to read, not for people: its text is printed as it is."""

TELLING = ("metrics", "honest", "reasons", "flags")
"""Tables that stand before the others."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Parts:
    """A result sorted for people: counts first, then tables, then texts such as names and places."""

    numbers: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Sequence[Row] | Row] = field(default_factory=dict)  # a dictionary alone is no rows
    texts: dict[str, list[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    note: str = ""


def print_result(result: Mapping[str, Any], as_json: bool, first: Sequence[str] = ()) -> None:
    """Print what a verb gave back.

    Args:
        result: names to numbers, texts, lists and dictionaries of them.
        as_json: one line of JSON with everything.
        first: keys that a terminal shows even if they are 0; other zeros share one line there.

    Raises:
        OSError: nobody reads it any more, or a full disk takes no more.
    """
    if as_json:
        text = json.dumps(result, default=str, allow_nan=False) + "\n"
    elif VERBATIM in result:
        text = str(result[VERBATIM]).rstrip() + "\n"
    elif sys.stdout.isatty():
        from flows.cli.screen import on_screen  # loads rich

        text = on_screen(sort_out(result), first)
    else:
        text = plain(sort_out(result))
    encoding = (
        sys.stdout.encoding or "utf-8"
    )  # what a terminal cannot show, a key in Greek in a Latin-1 one, is "?"
    print(text.encode(encoding, "replace").decode(encoding), end="", flush=True)


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


def plain(parts: Parts) -> str:
    """Everything in lines that `grep` finds by the key of the JSON: nothing is cut, coloured or left out."""
    small = {key: table for key, table in parts.tables.items() if isinstance(table, Mapping)}
    large = {key: table for key, table in parts.tables.items() if not isinstance(table, Mapping)}
    numbers = {
        key: [" ".join([shown(value), UNITS.get(key, "")]).rstrip()] for key, value in parts.numbers.items()
    }
    inner = {f"{key}.{name}": [shown(one)] for key, row in small.items() for name, one in scalars(row).items()}
    texts = {**parts.texts, **{key: ["-"] for key in parts.empty}}
    width = max((len(key) for key in (*numbers, *inner, *texts)), default=0)

    def lines(named: Mapping[str, Sequence[str]]) -> list[str]:
        return [f"{clean(key):<{width}}  {value}" for key, values in named.items() for value in values]

    if not large:
        return _joined([[*lines(numbers), *lines(inner), *lines(texts)], [parts.note]])
    titled = [[*([key] if len(large) > 1 else []), *_aligned(rows)] for key, rows in large.items()]
    return _joined([[*lines(numbers), *lines(inner)], *titled, lines(texts), [parts.note]])


def _joined(blocks: Sequence[Sequence[str]]) -> str:
    """Blocks of lines with an empty line between those that have words."""
    texts = ["\n".join(block) for block in blocks]
    return "\n\n".join(text for text in texts if text) + "\n"


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Rows under their names, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    right = [are_numbers([row.get(name) for row in rows]) for name in names]
    cells = [
        [
            f"{cell:>{width}}" if to_right else f"{cell:<{min(width, PADDED)}}"
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        for line in lines
    ]
    return ["  ".join(line).rstrip() for line in cells]


PADDED = 200
"""Characters to which cells are filled up: one long path would otherwise make every row as long."""


def scalars(row: Row) -> dict[str, Any]:
    """What of a dictionary fits into a line; the rest has a table of its own, or is for programs."""
    return {name: value for name, value in row.items() if not isinstance(value, Mapping | list | tuple)}


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


def columns() -> int:
    """How wide the terminal is: COLUMNS if it is set, else what the terminal says."""
    from shutil import get_terminal_size

    return max(get_terminal_size().columns, 20)


def is_dumb() -> bool:
    """Whether the terminal can neither draw nor colour."""
    return os.environ.get("TERM", "") in ("dumb", "unknown")
