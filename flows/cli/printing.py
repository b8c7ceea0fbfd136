"""Results on stdout: one line of JSON for programs, aligned lines and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size
from typing import Any

NARROWEST = 20
"""Characters of a cell that a terminal shows at least; a file or a pipe gets all of them."""

PADDED = 200
"""Characters to which cells are filled up: one long path would otherwise make every row as long."""


def print_result(result: Mapping[str, Any], as_json: bool) -> None:
    """Print what a verb gave back. Raises OSError if nobody reads it any more, or a full disk takes no more."""
    if as_json:
        print(json.dumps(result, default=str, allow_nan=False), flush=True)
        return
    rows = {key: found for key, value in result.items() if (found := _as_rows(value)) is not None}
    for table in rows.values():
        print("\n".join([*_table(table), ""]))
    width = max((len(key) for key in result if key not in rows), default=0)
    for key, value in result.items():
        if key in rows:
            continue
        shown = f"{value:,.4g}" if isinstance(value, float) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{name} {_short(item)}" for name, item in value.items() if not _is_bulky(item))
        print(f"{key:<{width}}  {shown if shown not in (None, '', []) else '-'}")
    print(end="", flush=True)


def _as_rows(value: Any) -> list[dict[str, Any]] | None:
    """A list of rows, or rows by name, as rows; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return value
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        return [{"": name, **row} for name, row in value.items()]
    return None


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows under their names, numbers to the right; on a terminal no wider than that."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    if sys.stdout.isatty():
        widths = _narrowed(widths, get_terminal_size().columns - 2 * (len(names) - 1))
    numeric = [isinstance(rows[0].get(name), int | float) for name in names]
    return [
        "  ".join(
            f"{_cut(cell, width):>{width}}" if right else f"{_cut(cell, width):<{min(width, PADDED)}}"
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Widths that fit together, the widest made narrower first, none narrower than NARROWEST."""
    narrowed = list(widths)
    while sum(narrowed) > room and max(narrowed) > NARROWEST:
        narrowed[narrowed.index(max(narrowed))] -= 1
    return narrowed


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = "-" if value in (None, "") else " ".join(str(value).split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)  # a key may hold an ESC


def _cut(text: str, width: int) -> str:
    """Both ends of a text, of which the end says more: a uri's is the object's name."""
    if len(text) <= width:
        return text
    head = width // 3
    return f"{text[:head]}…{text[head + 1 - width :]}"


def _short(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _is_bulky(value: Any) -> bool:
    return isinstance(value, (dict, list))
