"""Print results on stdout: one line of JSON for programs, tables on a terminal, plain lines otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flows.cli.parts import UNITS, Parts, Row, are_numbers, clean, scalars, shown, sort_out

VERBATIM = "script"
"""A result with this key is for a shell to read, not for people: its text is printed as it is."""


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
