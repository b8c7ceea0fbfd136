"""What must follow the commit of a run's scores: kept in that commit, so that any later run can do it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from skinml.errors import RunError
from skinml.records.runs import Counts, as_table
from skinml.strict_json import printable
from skinml.tables import Part

COUNTED = ("listed", "skipped", "done", "quarantined")


@dataclass(frozen=True)
class FollowUp:
    """A run whose scores are committed: its quarantine's parts, and its row in `runs` as it shall be."""

    run_id: str
    quarantine: Sequence[Part]
    row: Mapping[str, Any]

    @property
    def counts(self) -> Counts:
        """What became of the run's images."""
        return Counts(**{name: self.row[name] for name in COUNTED})

    def row_with(self, counts: Counts, remark: str | None) -> pa.Table:
        """The run's row, schema RUNS, with these counts and, in the column `error`, a remark."""
        counted = {name: getattr(counts, name) for name in COUNTED}
        return as_table({**self.row, **counted, "error": remark})


def to_note(follow_up: FollowUp) -> str:
    """As the text that a commit carries."""
    parts = [asdict(part) for part in follow_up.quarantine]
    return json.dumps({"run_id": follow_up.run_id, "quarantine": parts, "row": follow_up.row}, default=str)


def from_note(note: str) -> FollowUp:
    """Back from the text of a commit."""
    try:
        found = json.loads(note)
        return FollowUp(found["run_id"], [Part(**part) for part in found["quarantine"]], found["row"])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        problem = printable(f"{type(error).__name__}: {error}")
        raise RunError(f"a commit of scores does not say what follows it ({problem}); report this") from error
