"""The steps after the commit of `scores`, stored in that commit so that any later run can finish them."""

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
    """What remains to be written once a run's scores are committed: its quarantine and its row in `runs`."""

    run_id: str
    quarantine: Sequence[Part]
    row: Mapping[str, Any]

    @property
    def counts(self) -> Counts:
        """The counts of the run's images."""
        return Counts(**{name: self.row[name] for name in COUNTED})

    def row_with(self, counts: Counts, remark: str | None) -> pa.Table:
        """Return the run's row, schema RUNS, with these counts and a remark in the column `error`."""
        counted = {name: getattr(counts, name) for name in COUNTED}
        return as_table({**self.row, **counted, "error": remark})


def to_note(follow_up: FollowUp) -> str:
    """Serialise to the text that is stored in a commit."""
    parts = [asdict(part) for part in follow_up.quarantine]
    return json.dumps({"run_id": follow_up.run_id, "quarantine": parts, "row": follow_up.row}, default=str)


def from_note(note: str) -> FollowUp:
    """Parse the text that is stored in a commit."""
    try:
        found = json.loads(note)
        return FollowUp(found["run_id"], [Part(**part) for part in found["quarantine"]], found["row"])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        problem = printable(f"{type(error).__name__}: {error}")
        raise RunError(f"a commit of scores has no valid follow-up note ({problem}); report this") from error
