"""A run with too many bad images fails before it commits: then archive or request are wrong, not the images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.csv

from skinml.errors import RunError
from skinml.layout import report_url
from skinml.storage.objects import write_bytes
from skinml.tables.matching import among

COLUMNS = ("uri", "etag", "reason", "detail")
"""What the report says of each image."""

KEY = ("uri", "etag", "reason")
"""What makes a failure the same as an earlier one."""


def check_quarantined(
    workspace: str,
    run_id: str,
    reasons: Counter[str],
    done: int,
    most: float,
    rows: Callable[[], pa.Table],
    advice: str = "mend the archive, or allow more",
    what: str = "new images",
    known: Callable[[], pa.Table] | None = None,
) -> None:
    """Stop a run of whose new images more than this fraction cannot be used; they are named in its report.

    One bad image is no bad archive, however few images are new: it stops a run only if none is allowed. Nor do
    read errors count again that an earlier run has put into quarantine: a folder that cannot be read would
    otherwise stop every night on which little else is new.

    Args:
        workspace: normalised URL.
        run_id: the run.
        reasons: how many of the new images cannot be used, by reason.
        done: how many of them can.
        most: the fraction, 0 to 1, that may be unusable.
        rows: reads COLUMNS of those that cannot be used.
        advice: what to do, which ends the line.
        what: what the images are.
        known: reads uri, etag and reason of what is in quarantine. None: nothing that is there is tried again.

    Raises:
        RunError: there are more; nothing was committed.
    """
    if _few(reasons.total(), done, most):
        return
    rejected = rows()
    if known is not None:
        new = rejected.to_pandas()
        reasons = Counter(new.loc[~among(new, known().to_pandas(), KEY), "reason"])
        if _few(reasons.total(), done, most):
            return
    bad, images = reasons.total(), reasons.total() + done
    url = report_url(workspace, run_id, "quarantined.csv")
    buffer = pa.BufferOutputStream()
    pyarrow.csv.write_csv(rejected.select(COLUMNS), buffer)
    write_bytes(url, buffer.getvalue().to_pybytes())
    said = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    raise RunError(
        f"{bad} of {images} {what} ({bad / images:.0%}) cannot be used ({said}), more than "
        f"--max-quarantined {most:.0%}: nothing was committed; they are named in {url}; {advice}"
    )


def _few(bad: int, done: int, most: float) -> bool:
    return bad <= most * (bad + done) or (bad == 1 and most > 0)
