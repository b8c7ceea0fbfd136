"""Lay a result out for a terminal with rich: counts, tables that fit the width, names and places."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import Any

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.checklist import checklist, is_checklist
from flows.cli.parts import INTERVALS_OF, UNITS, Parts, Row, are_numbers, clean, is_number, scalars, shown
from flows.cli.terminal import columns, is_dumb

NARROWEST = 16
"""Characters that are left at least of a path or a sentence in a table."""

LESS_TELLING = (
    *("evidence", "manifest_sha256", "test_set", "sha256"),
    *("uris", "tries", "oldest", "etag", "size_bytes", "run_id", "newest", "flow"),
    *("alias", "model_name", "created", "accuracy", "test_looks", "protocol", "name", "trained_on"),
    *("largest_difference", "agreement", "previous_version", "image_ids"),
)
"""Columns that a table leaves out, in this order, if the terminal is too narrow. A line below says so."""

LABELS = {"seconds": "time", "images_per_second": "speed"}
"""What people call a key. Of the others the underscores go."""

INTERVAL = "95 % interval"

GAP = 2


def on_screen(parts: Parts, first: Sequence[str] = ()) -> str:
    """The text of a result, no line wider than the terminal but for places, which people copy.

    Args:
        parts: the result.
        first: keys whose number is shown even if it is 0.
    """
    width, dumb = columns(), is_dumb()
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=not dumb,
        color_system=None if dumb else "standard",
        highlight=False,
    )
    for number, block in enumerate(_blocks(parts, first, width, dumb)):
        if number or sys.stderr.isatty():  # log lines stand before the first
            console.print()
        for one in block:
            console.print(one, soft_wrap=isinstance(one, Text))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def _blocks(parts: Parts, first: Sequence[str], width: int, dumb: bool) -> Iterator[list[Table | Text]]:
    """What stands between empty lines."""
    numbers = {key: value for key, value in parts.numbers.items() if value or key in first}
    none = [key for key in parts.numbers if key not in numbers] + parts.empty
    texts = {**parts.texts, **({"none": [", ".join(map(_label, none))]} if none else {})}
    widest = max((cell_len(_label(key)) for key in (*numbers, *texts)), default=0)
    if numbers:
        yield list(_counts(numbers, widest))
    for title, rows in _gathered(parts.tables):
        if not isinstance(rows, Mapping) and is_checklist(rows):
            yield list(checklist(rows, width))
        else:
            yield list(_table(title, rows, width, dumb))
    if texts:
        yield [line for key, values in texts.items() for line in _said(_label(key), values, widest, width)]
    if parts.note:
        yield [Text(parts.note, "italic")]


def _counts(numbers: Mapping[str, float], widest: int) -> Iterator[Text]:
    """Numbers below each other, to the right, with what they are before them and their unit behind."""
    cells = {key: shown(value, commas=not key.endswith("version")) for key, value in numbers.items()}
    room = max(map(len, cells.values()))
    for key, cell in cells.items():
        yield (
            Text(f"{_label(key):<{widest}}  ")
            .append(f"{cell:>{room}}", "bold")
            .append(f" {UNITS.get(key, '')}".rstrip())
        )


def _said(label: str, values: Sequence[str], widest: int, width: int) -> Iterator[Text]:
    """A text behind its name. A sentence goes on below itself; a place stays in one piece, to be copied."""
    room = max(width - widest - GAP, NARROWEST)
    for value in values:
        for line in textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False):
            yield Text(f"{label:<{widest}}{' ' * GAP}{line}", "dim" if label == "none" else "")
            label = ""


def _gathered(tables: Mapping[str, Sequence[Row] | Row]) -> Iterator[tuple[str, Sequence[Row]]]:
    """The tables with their titles. Dictionaries with the same names stand side by side: metrics, honest."""
    small = {key: scalars(table) for key, table in tables.items() if isinstance(table, Mapping)}
    told = {intervals for metrics, intervals in INTERVALS_OF.items() if metrics in small}
    for key, table in tables.items():
        if not isinstance(table, Mapping):
            if key.partition(".")[0] not in INTERVALS_OF.values():  # of each class: a pipe and --json have them
                yield key, table
        elif key not in told and small[key]:  # else all of it stands in tables of its own
            alike = [other for other in small if other not in told and list(small[other]) == list(small[key])]
            told.update(alike)
            heads = {key: " "} if len(alike) == 1 else {one: one for one in alike}
            title = key if len(alike) == 1 else ""
            yield (
                title,
                [
                    {"": name}
                    | {head: value for one in alike for head, value in _measured(tables, one, heads[one], name)}
                    for name in small[key]
                ],
            )


def _measured(
    tables: Mapping[str, Sequence[Row] | Row], key: str, head: str, name: str
) -> Iterator[tuple[str, Any]]:
    """One value of a table of metrics and, if the result has it, its interval in the next column."""
    table, intervals = tables[key], tables.get(INTERVALS_OF.get(key, ""))
    if isinstance(table, Mapping):
        yield head, table[name]
    if isinstance(intervals, Mapping):
        yield (INTERVAL if head == " " else f"{head}, {INTERVAL}"), intervals.get(name)


@dataclass(frozen=True)
class _Column:
    """One column of a table, and how narrow it can be."""

    name: str
    values: Sequence[Any]

    @cached_property
    def right(self) -> bool:
        """Whether it stands to the right: nothing but numbers, or none where there is no number."""
        return are_numbers(self.values)

    @cached_property
    def cells(self) -> list[str]:
        """The texts; numbers end below each other among words, too."""
        texts = [shown(value, commas=True) for value in self.values]
        numbers = [is_number(value) for value in self.values]
        room = max((len(text) for text, number in zip(texts, numbers, strict=True) if number), default=0)
        return [text.rjust(room) if number else text for text, number in zip(texts, numbers, strict=True)]

    @cached_property
    def natural(self) -> int:
        return max(map(cell_len, [self.name, *self.cells]))

    @cached_property
    def compact(self) -> int:
        """With the words of its name below each other."""
        return max(map(cell_len, [*self.name.split(), *self.cells]))

    @cached_property
    def least(self) -> int:
        """With paths and sentences cut. Numbers, times and ids are never cut."""
        cells = [
            min(cell_len(one), NARROWEST) if "/" in one or " " in one else cell_len(one) for one in self.cells
        ]
        return max([*map(cell_len, self.name.split()), *cells])


def _table(title: str, rows: Sequence[Row], width: int, dumb: bool) -> Iterator[Table | Text]:
    """Rows as a table that fits: less telling columns left out, or turned on its side if that is not enough."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = [name for name in names if any(shown(row.get(name)) != "-" for row in rows)]
    made = {name: _Column(_label(name or title), [row.get(name) for row in rows]) for name in names}
    if "" not in names and title != "rows":
        yield Text(_label(title), "bold")
    left_out: list[str] = []
    candidates = [name for name in LESS_TELLING if name in made]
    while (widths := _widths(list(made.values()), width)) is None and candidates:
        left_out.append(candidates.pop(0))
        del made[left_out[-1]]
    if widths is None:
        yield from _sideways(title, rows, names, width, dumb)
        return
    yield _drawn(list(made.values()), widths, dumb or " " in names)
    yield from _no_room(left_out, width)


def _no_room(left_out: Sequence[str], width: int) -> Iterator[Text]:
    """What is said of columns that are left out."""
    if left_out:
        words = (
            f"no room for {', '.join(map(_label, left_out))}: a wider terminal, a pipe or --json has all of it"
        )
        yield from (Text(line, "dim") for line in textwrap.wrap(words, width))


def _widths(made: Sequence[_Column], width: int) -> list[int] | None:
    """Widths that fit: names on one line, else on several, else the widest texts cut. None if nothing fits."""
    room = width - GAP * (len(made) - 1)
    for widths in ([one.natural for one in made], [one.compact for one in made]):
        if sum(widths) <= room:
            return widths
    least = [one.least for one in made]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max((one for one in range(len(made)) if widths[one] > least[one]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _sideways(
    title: str, rows: Sequence[Row], names: Sequence[str], width: int, dumb: bool
) -> Iterator[Table | Text]:
    """Rows as columns, as many side by side as fit: for a terminal that is too narrow for a row in a line."""
    own = [name for name in names if name and not any(isinstance(row.get(name), Mapping) for row in rows)]
    labels = _Column(_label(title) if "" in names else "", [_label(name) for name in own])
    left = list(rows)
    while left:
        for count in range(len(left), 0, -1):
            made = [_Column(str(row.get("", "")), [row.get(name) for name in own]) for row in left[:count]]
            room = width - labels.natural - GAP * count
            if sum(one.natural for one in made) <= room:
                break
        widths = [min(one.natural, max(room, NARROWEST)) for one in made]
        yield _drawn([labels, *made], [labels.natural, *widths], dumb)
        left = left[count:]
        if left:
            yield Text()
    yield from _no_room([name for name in names if name and name not in own], width)


def _drawn(made: Sequence[_Column], widths: Sequence[int], bare: bool) -> Table:
    """The table of these columns, cut to these widths: numbers to the right, a line below the names or not."""
    line = None if bare or not _unicode() else box.SIMPLE_HEAD
    padding = (0, GAP if line is None else GAP - 1, 0, 0)  # a box has a character between columns
    headed = any(one.name.strip() for one in made)
    table = Table(
        box=line, show_edge=False, pad_edge=False, padding=padding, header_style="bold", show_header=headed
    )
    for one, width in zip(made, widths, strict=True):
        table.add_column(Text(one.name), width=width, justify="right" if one.right else "left")
    # All rows as one: rich takes half a millisecond for each, and a quarantine may have many.
    table.add_row(
        *(
            Text("\n".join(cut(cell, width) for cell in one.cells), no_wrap=True)
            for one, width in zip(made, widths, strict=True)
        )
    )
    return table


def cut(text: str, width: int) -> str:
    """A text that is too long: the start of a sentence; both ends of a uri, of which the end says more."""
    if cell_len(text) <= width:
        return text
    mark = "…" if _unicode() else "..."
    room = width - len(mark)
    head = room // 3 if "/" in text else room
    tail = set_cell_size(text[::-1], room - head)[::-1] if head < room else ""
    return f"{set_cell_size(text, head)}{mark}{tail}"


def _label(key: str) -> str:
    """What people call a key."""
    return clean(LABELS.get(key, key.replace("_", " ").replace(".", ", "))) if key.strip() else key


def _unicode() -> bool:
    return (sys.stdout.encoding or "utf-8").lower().startswith("utf")
