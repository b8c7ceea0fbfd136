"""Fail a run before it commits if too many images cannot be used: then the archive or the request is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.csv

from skinml.errors import UnusableImagesError
from skinml.layout import report_url
from skinml.storage.objects import write_bytes
from skinml.tables.matching import among

COLUMNS = ("uri", "etag", "reason", "detail")
"""The columns of the report `quarantined.csv`."""

KEY = ("uri", "etag", "reason")
"""Two failures with the same key are the same failure."""


def check_quarantined(
    workspace: str,
    run_id: str,
    reasons: Counter[str],
    done: int,
    most: float,
    rows: Callable[[], pa.Table],
    advice: str = "repair the archive, or allow more",
    what: str = "new images",
    known: Callable[[], pa.Table] | None = None,
) -> None:
    """Fail if more than this fraction of the new images cannot be used; name them in a report.

    A single bad image fails a run only if `most` is 0, however few images are new. Read errors that are already
    in the quarantine do not count: otherwise one unreadable folder would fail every run with few new images.

    Args:
        workspace: normalised URL.
        run_id: the run.
        reasons: number of new images that cannot be used, by reason.
        done: number of new images that can be used.
        most: the largest allowed fraction of unusable images, 0 to 1.
        rows: reads COLUMNS of the images that cannot be used.
        advice: what to do; the end of the message.
        what: what to call the images in the message.
        known: reads uri, etag and reason of the quarantine; None if the run tries no known failure again.

    Raises:
        UnusableImagesError: too many images cannot be used; nothing was committed.
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
    raise UnusableImagesError(
        f"{bad} of {images} {what} ({bad / images:.0%}) cannot be used ({said}), more than "
        f"--max-quarantined {most:.0%}: nothing was committed; {url} lists them; {advice}",
        f"{100 * bad / images:.0f} % of {images:,} {what} could not be used: "
        + ", ".join(f"{number:,} {reason}" for reason, number in reasons.most_common()),
    )


def _few(bad: int, done: int, most: float) -> bool:
    return bad <= most * (bad + done) or (bad == 1 and most > 0)
