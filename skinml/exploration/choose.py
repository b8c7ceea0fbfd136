"""Choose the images that the page shows: examples, near-duplicates, suspicious labels."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from skinml import tables
from skinml.dataset.duplicates import find_duplicates
from skinml.errors import SkinmlError
from skinml.labels import DIAGNOSES
from skinml.layout import report_url
from skinml.storage.objects import read_bytes

EXAMPLES = 5
"""Images of each diagnosis in the grid, as in the thesis."""

PAIRS = 12
SUSPICIOUS = 20

MOST_COMPARED = 100_000
"""Images among which near-duplicates are looked for: 3 s. Of more, so many evenly spread ones are."""

logger = logging.getLogger("skinml.explore")


def choose_examples(samples: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return EXAMPLES images of each diagnosis at random, of different lesions as far as there are so many.

    Args:
        samples: image_id, lesion_id, dx and others.
        seed: the same seed and samples give the same images.

    Returns:
        Rows of `samples` in the order of DIAGNOSES; fewer for a diagnosis with fewer images.
    """
    generator = np.random.default_rng(seed)
    shuffled = samples.sort_values("image_id").iloc[generator.permutation(len(samples))]
    again = shuffled.duplicated("lesion_id")  # images of a lesion that is there come last
    ordered = pd.concat([shuffled[~again], shuffled[again]])
    parts = [ordered[ordered["dx"] == name].head(EXAMPLES) for name in DIAGNOSES]
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images that are the same photograph.

    Attributes:
        shown: at most PAIRS: positions `first` and `second` of rows of the samples, kind, distance in bits.
        identical, near: how many pairs were found of each kind.
        across_lesions, across_diagnoses: of these, how many link two lesions, and two diagnoses.
        compared: among how many images was looked.
    """

    shown: pd.DataFrame
    identical: int
    near: int
    across_lesions: int
    across_diagnoses: int
    compared: int


def find_pairs(samples: pd.DataFrame) -> Pairs:
    """Find identical and near-duplicate images; those with two diagnoses, then with two lesions, come first.

    Args:
        samples: sha256, phash (hexadecimal or null), lesion_id and dx.
    """
    positions = np.arange(len(samples))
    if len(samples) > MOST_COMPARED:
        positions = np.linspace(0, len(samples) - 1, MOST_COMPARED).astype(np.int64)
    images = samples.iloc[positions][["sha256", "phash", "lesion_id", "dx"]].reset_index(drop=True)
    images["phash"] = [bytes.fromhex(value) if isinstance(value, str) else None for value in images["phash"]]
    links = find_duplicates(images, np.ones(len(images), dtype=bool))
    first, second = links["first"].to_numpy(), links["second"].to_numpy()
    links["lesions"] = images["lesion_id"].to_numpy()[first] != images["lesion_id"].to_numpy()[second]
    links["diagnoses"] = images["dx"].to_numpy()[first] != images["dx"].to_numpy()[second]
    order = links.sort_values(
        ["diagnoses", "lesions", "distance", "first"], ascending=[False, False, True, True]
    )
    shown = order.head(PAIRS).assign(
        first=lambda rows: positions[rows["first"]], second=lambda rows: positions[rows["second"]]
    )
    return Pairs(
        shown[["first", "second", "kind", "distance"]].reset_index(drop=True),
        identical=int((links["kind"] == "identical").sum()),
        near=int((links["kind"] == "near").sum()),
        across_lesions=int(links["lesions"].sum()),
        across_diagnoses=int(links["diagnoses"].sum()),
        compared=len(images),
    )


@dataclass(frozen=True, eq=False)
class Suspicious:
    """The most suspicious labels that `mislabelled` has named.

    Attributes:
        rows: at most SUSPICIOUS: lesion_id, dx, suggested_dx, p_given, p_suggested, images, and `position`, the
            row of the samples that is shown.
        run_id: of the run of `mislabelled`; None if there is none.
        why_none: what to do if there are no rows; "" if there are.
        corrected: lesions of its ranking that have another label by now, or are gone; they are left out.
    """

    rows: pd.DataFrame
    run_id: str | None
    why_none: str
    corrected: int = 0


def find_suspicious(workspace: str, samples: pd.DataFrame) -> Suspicious:
    """Read the ranking of the newest completed run of `mislabelled`.

    Args:
        workspace: normalised URL.
        samples: image_id, lesion_id and dx.
    """
    nothing = pd.DataFrame()
    runs = tables.read(workspace, "runs", ["run_id", "flow", "status", "started_at"])
    done = pc.and_(pc.equal(runs["flow"], "mislabelled"), pc.equal(runs["status"], "completed"))
    found = runs.filter(done).sort_by([("started_at", "descending")])["run_id"].to_pylist()
    if not found:
        why = "Nobody has looked for wrong labels yet. Run skinml mislabelled, then skinml explore again."
        return Suspicious(nothing, None, why)
    url = report_url(workspace, found[0], "mislabelled.csv")
    try:
        ranked = pd.read_csv(io.BytesIO(read_bytes(url)), dtype={"lesion_id": "str", "image_ids": "str"})
        ranked = ranked[["lesion_id", "dx", "suggested_dx", "p_given", "p_suggested", "images"]]
    except (SkinmlError, ValueError, KeyError) as error:
        logger.warning("%s cannot be read: %s", url, error)
        return Suspicious(nothing, found[0], "Its file cannot be read. Run skinml mislabelled again.")
    first = samples.reset_index(drop=True).reset_index(names="position").drop_duplicates("lesion_id")
    joined = ranked.merge(
        first[["lesion_id", "dx", "position"]], on="lesion_id", how="left", suffixes=("", "_now")
    )
    same = joined["dx"] == joined["dx_now"]
    rows = joined[same].head(SUSPICIOUS).drop(columns="dx_now").reset_index(drop=True)
    rows["position"] = rows["position"].astype("int64")
    why = "" if len(rows) else "All its lesions have other labels by now. Run skinml mislabelled again."
    return Suspicious(rows, found[0], why, int((~same).sum()))
