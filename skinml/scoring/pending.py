"""What is new: the listing of an archive less what one model version has scored or the quarantine holds."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from skinml.quarantine import RETRIED
from skinml.schemas import IMAGE_VERSION


@dataclass(frozen=True)
class Pending:
    """Images to score, in order of their uri (columns of LISTING), and the counts around them."""

    images: pd.DataFrame
    listed: int
    skipped: int


def find_pending(listing: pd.DataFrame, scored: pd.DataFrame, quarantine: pd.DataFrame) -> Pending:
    """Take what has no row yet.

    Args:
        listing: the archive, columns of LISTING.
        scored: uri, etag of the rows that this model version has in `scores`.
        quarantine: uri, etag, reason of what `score` quarantined before.
    """
    known = pd.concat(
        [scored[IMAGE_VERSION], quarantine.loc[~quarantine["reason"].isin(RETRIED), IMAGE_VERSION]]
    )
    keys = pd.MultiIndex.from_frame(listing[IMAGE_VERSION])
    is_known = keys.isin(pd.MultiIndex.from_frame(known))
    images = listing[~is_known].sort_values("uri", ignore_index=True)
    return Pending(images, len(listing), int(is_known.sum()))
