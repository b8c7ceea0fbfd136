"""Choose the rows and columns of an export: all of a run in pieces, or sorted, or the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError
from skinml.schemas import SCORES

HEALTH = pa.field("health", pa.string())
"""The column that an export adds to those of SCORES: `health` of the run's row in `runs`."""

EXPORTED = SCORES.append(HEALTH)
"""Every column that an export can have."""

ALWAYS = ("model_version", "health")
"""Columns that every export has. Those that `--columns` does not name stand behind the others."""

SUSPICION = "p_malignant"
"""What `--top` sorts by if nothing else is said."""

ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Choice:
    """What of a run is exported.

    Attributes:
        columns: of EXPORTED, in this order; empty for all.
        sort: the column to sort by: numbers from the largest, everything else from the smallest, rows without a
            value last, rows of the same value by their uri. None: in the order of the table.
        top: how many rows at most; None for all. Without `sort`, they are those of the largest p_malignant.
    """

    columns: tuple[str, ...] = ()
    sort: str | None = None
    top: int | None = None

    @property
    def sorted_by(self) -> str | None:
        """The column that the rows are sorted by, if they are sorted."""
        return self.sort if self.top is None else self.sort or SUSPICION

    @property
    def schema(self) -> pa.Schema:
        """The columns of the file."""
        named = [*dict.fromkeys(self.columns)]
        names = [*named, *(name for name in ALWAYS if name not in named)] if named else EXPORTED.names
        return pa.schema([EXPORTED.field(name) for name in names])


def check_choice(choice: Choice) -> None:
    """Refuse a column that there is not.

    Raises:
        RequestError: with the name that was probably meant, and all that there are.
    """
    for flag, names in (("--columns", choice.columns), ("--sort", [choice.sort] if choice.sort else [])):
        for name in names:
            if name not in EXPORTED.names:
                meant = get_close_matches(name, EXPORTED.names, 1)
                advice = f"did you mean {meant[0]}? " if meant else ""
                known = ", ".join(EXPORTED.names)
                raise RequestError(f"{flag} {name}: no such column; {advice}the columns are {known}")


class Rows:
    """The chosen rows of a run, to be read once. It counts what it has read: a class.

    Attributes:
        read: rows of the run that were read, also those that were not chosen.
    """

    def __init__(
        self, workspace: str, run: Mapping[str, Any], choice: Choice, advance: Callable[[int], None]
    ) -> None:
        self.read = 0
        self._advance = advance
        self._workspace = workspace
        self._run = run
        self._choice = choice

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces, with the chosen columns. Memory grows only if rows are sorted."""
        choice = self._choice
        if choice.sorted_by is None:
            for piece in tables.gathered(self._pieces(choice.schema.names), ROWS_AT_ONCE):
                yield piece.select(choice.schema.names)
            return
        needed = dict.fromkeys([*choice.schema.names, choice.sorted_by, "uri"])
        rows = first_rows(self._pieces(list(needed)), choice.sorted_by, choice.top)
        if rows is not None:
            for batch in rows.select(choice.schema.names).to_batches(max_chunksize=ROWS_AT_ONCE):
                yield pa.Table.from_batches([batch])

    def _pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        run = self._run
        of_run = pc.equal(pc.field("run_date"), run["started_at"].date()) & pc.equal(
            pc.field("run_id"), run["run_id"]
        )
        stored = [name for name in names if name != HEALTH.name]
        for piece in tables.scan(self._workspace, "scores", stored, where=of_run):
            self.read += piece.num_rows
            self._advance(piece.num_rows)
            health = pa.repeat(pa.scalar(run.get("health"), HEALTH.type), piece.num_rows)
            yield piece.append_column(HEALTH, health)


def first_rows(pieces: Iterator[pa.Table], sort: str, top: int | None) -> pa.Table | None:
    """Return the sorted rows, or the first `top` of them; None if there are none.

    Memory holds all rows if `top` is None, and else twice as many as `top` or ROWS_AT_ONCE.

    Args:
        pieces: rows with a column `uri` and the one to sort by.
        sort: the column, ordered as `Choice` says.
        top: the largest number of rows.
    """
    falling = pa.types.is_floating(EXPORTED.field(sort).type) or pa.types.is_integer(EXPORTED.field(sort).type)
    keys = [(sort, "descending" if falling else "ascending")]
    keys += [("uri", "ascending")] if sort != "uri" else []
    waiting: list[pa.Table] = []
    for piece in pieces:
        waiting.append(piece)
        if top is not None and sum(one.num_rows for one in waiting) >= 2 * max(top, ROWS_AT_ONCE):
            waiting = [pa.concat_tables(waiting).sort_by(keys).slice(0, top).combine_chunks()]
    if not waiting:
        return None
    return pa.concat_tables(waiting).sort_by(keys).slice(0, top)
