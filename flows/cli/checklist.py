"""Show checks and problems on a terminal: one block for each, wrapped, nothing cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from flows.cli.parts import Row, shown

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}
"""Never colour alone: the word stands there too."""

COLUMNS = ("check", "state", "detail", "mend")
"""The columns by which a table is a list of checks."""

NARROWEST = 30


def is_checklist(rows: Sequence[Row]) -> bool:
    """Whether these rows are checks."""
    return bool(rows) and all(tuple(row) == COLUMNS for row in rows)


def checklist(rows: Sequence[Row], width: int) -> Iterator[Text]:
    """The lines of checks: state, name and what is so; below it how to mend it."""
    name_width = max(cell_len(shown(row["check"])) for row in rows)
    indent = " " * (len("warning") + 2 + name_width + 2)
    room = max(width - len(indent), NARROWEST)
    for row in rows:
        state = shown(row["state"])
        first, *more = textwrap.wrap(shown(row["detail"]), room, break_on_hyphens=False) or [""]
        yield Text.assemble(
            (f"{state:<{len('warning')}}", STYLES.get(state, "")),
            f"  {shown(row['check']):<{name_width}}  {first}",
        )
        yield from (Text(f"{indent}{line}") for line in more)
        if row["mend"]:
            mend = textwrap.wrap(shown(row["mend"]), room - 2, break_long_words=False, break_on_hyphens=False)
            yield from (
                Text(f"{indent}{'> ' if not number else '  '}{line}", "bold")
                for number, line in enumerate(mend)
            )
