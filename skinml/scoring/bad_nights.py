"""A night with too many bad images fails before it commits: then the archive is broken, not the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv

from skinml import tables
from skinml.errors import RunError
from skinml.scoring.predict import ShardScored
from skinml.storage.objects import write_bytes
from skinml.workspace import report_url


def check_quarantined(workspace: str, shards: Sequence[ShardScored], most: float, run_id: str) -> None:
    """Stop a run of whose images more than this fraction cannot be used; they are named in its report.

    Args:
        workspace: normalised URL.
        shards: what the workers left.
        most: the fraction, 0 to 1, of the images that were read.
        run_id: the run.

    Raises:
        RunError: there are more; nothing was committed.
    """
    reasons = sum((shard.rejected for shard in shards), Counter[str]())
    same = sum(shard.compared.same for shard in shards)
    bad, read = reasons.total(), sum(shard.scored for shard in shards) + same + reasons.total()
    if bad <= most * read:
        return
    url = report_url(workspace, run_id, "quarantined.csv")
    parts = [shard.quarantine for shard in shards if shard.quarantine is not None]
    rows = tables.read_parts(workspace, "quarantine", parts, ["uri", "etag", "reason", "detail"])
    buffer = pa.BufferOutputStream()
    pyarrow.csv.write_csv(rows, buffer)
    write_bytes(url, buffer.getvalue().to_pybytes())
    what = "images" if same else "new images"
    said = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    raise RunError(
        f"{bad} of {read} {what} ({bad / read:.0%}) cannot be used ({said}), more than --max-quarantined "
        f"{most:.0%}: nothing was committed; they are named in {url}; mend the archive, or allow more"
    )
