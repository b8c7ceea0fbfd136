"""Look at the samples of a workspace: read the table, count, choose images and read them."""

from __future__ import annotations

import pandas as pd

from skinml import tables
from skinml.dataset.samples import samples_version
from skinml.errors import RequestError
from skinml.exploration.choose import choose_examples, find_pairs, find_suspicious
from skinml.exploration.page import Findings
from skinml.exploration.summary import COLUMNS, summarise
from skinml.exploration.thumbnails import read_thumbnails
from skinml.labels import DIAGNOSES


def explore_samples(workspace: str, seed: int) -> Findings:
    """Find everything that the page shows.

    Args:
        workspace: normalised URL.
        seed: of the examples.

    Raises:
        RequestError: there are no samples.
    """
    version = samples_version(workspace)
    samples = tables.read(workspace, "samples", COLUMNS, at=version).to_pandas()
    samples = samples[samples["dx"].isin(DIAGNOSES)].sort_values(["image_id", "uri"], ignore_index=True)
    if samples.empty:
        raise RequestError(f"{workspace}: its table samples is empty; run skinml prepare again")
    summary = summarise(samples)
    examples = choose_examples(samples, seed)
    pairs = find_pairs(samples)
    suspicious = find_suspicious(workspace, samples)
    positions = [*pairs.shown["first"], *pairs.shown["second"], *suspicious.rows.get("position", [])]
    wanted = pd.concat([examples, samples.iloc[positions]]).drop_duplicates("uri")
    thumbnails = read_thumbnails(wanted)
    gone = len(wanted) - len(thumbnails)
    return Findings(samples, version, summary, examples, pairs, suspicious, thumbnails, gone)
