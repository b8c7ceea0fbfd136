"""Find the images of a labelled set that a model knows: identical, near-identical, or of a known lesion.

A model knows all samples of the version of `samples` that its manifest names, whatever their split: it was
fitted on train, its epoch was chosen on val, and its metrics report test already. A set that shares images with
any of them is no test on images never seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skinml import tables
from skinml.dataset.duplicates import find_duplicates
from skinml.errors import RequestError
from skinml.models.judged import has_predictions, read_own_predictions
from skinml.models.manifest import Manifest
from skinml.storage.spelling import resolve_rows

KNOWN = ["image_id", "lesion_id", "split", "sha256", "phash"]
"""The columns of `samples` that are compared."""

LEFT_OUT = ["image_id", "lesion_id", "dx", "uri", "why", "distance", "known_image_id", "known_split"]
"""The columns of the report `left_out.csv`."""

WHYS = ("identical", "near", "lesion")
"""Why an image is left out: equal bytes; a perceptual hash at most 30 of 256 bits away; its lesion is known."""


@dataclass(frozen=True, eq=False)
class KnownImages:
    """The images that a model version knows.

    Attributes:
        rows: columns KNOWN; `split` is blank if the model's protocol draws its images in another way.
        version: of the table `samples`; None if the workspace does not have it, so that nothing is known.
    """

    rows: pd.DataFrame
    version: int | None


def known_images(workspace: str, manifest: Manifest) -> KnownImages:
    """Return the samples that a model version was made from.

    A bundle that was copied into another workspace comes without them: `version` is None then. So it is if the
    table was deleted and made anew: that version has not the images that the bundle keeps predictions of.

    Raises:
        RequestError: the table has no such version any more, or the bundle's predictions were changed.
    """
    version = manifest.dataset.get("version")
    there = tables.version(workspace, "samples")
    if not isinstance(version, int) or there is None:
        return _nothing_known()
    if version > there:
        raise RequestError(
            f"--model {manifest.version}: was trained on version {version} of samples, and {workspace} has only"
            f" {there}; evaluate in the workspace that trained it"
        )
    rows: pd.DataFrame = resolve_rows(
        tables.read(workspace, "samples", ["uri", "etag", *KNOWN], at=version)
    ).to_pandas()[KNOWN]
    if has_predictions(manifest):
        judged = read_own_predictions(workspace, manifest)["image_id"]
        if not judged.isin(rows["image_id"]).all():
            return _nothing_known()
    return KnownImages(rows if manifest.protocol == "grouped" else rows.assign(split=""), version)


def _nothing_known() -> KnownImages:
    return KnownImages(pd.DataFrame({name: pd.Series(dtype="str") for name in KNOWN}), None)


def left_out(images: pd.DataFrame, known: KnownImages) -> pd.DataFrame:
    """Return the images to leave out, one row each with columns LEFT_OUT, in the order of `images`.

    An image also counts as near if it is connected to a known one over other near images; `distance` is null
    then.

    Args:
        images: image_id, lesion_id, dx, uri, and sha256 and phash (hex; null if not known) of usable images.
        known: the images of the model.
    """
    there = known.rows.reset_index(drop=True)
    here = images.reset_index(drop=True)
    found = here.assign(why=None, distance=np.nan, row=np.nan)
    neighbours = _neighbours(here, there)
    for why, rows, distance in (
        ("identical", _look_up(here["sha256"], there["sha256"]), 0.0),
        ("near", neighbours["row"], neighbours["distance"]),
        ("lesion", _look_up(here["lesion_id"], there["lesion_id"]), np.nan),
    ):
        chosen = found["why"].isna() & rows.notna()
        found["row"] = found["row"].where(~chosen, rows)
        found["distance"] = found["distance"].where(~chosen, distance)
        found["why"] = found["why"].where(~chosen, why)
    found = found[found["why"].notna()]
    sources = there.loc[found["row"].astype("int64"), ["image_id", "split"]]
    found = found.assign(known_image_id=sources["image_id"].to_numpy(), known_split=sources["split"].to_numpy())
    return found[LEFT_OUT].reset_index(drop=True)


def _look_up(values: pd.Series[str], known: pd.Series[str]) -> pd.Series[float]:
    """Return the first row of `known` that has each value; NaN if there is none, or no value."""
    rows = pd.Series(known.index, index=known).loc[lambda one: one.index.notna()]
    return values.map(rows[~rows.index.duplicated()]).astype("float64")


def _neighbours(here: pd.DataFrame, there: pd.DataFrame) -> pd.DataFrame:
    """Return for each image the known row that it is near to, and the distance in bits; NaN if none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    both = pd.concat([there[["sha256", "phash"]], here[["sha256", "phash"]]], ignore_index=True)
    both["sha256"] = both["sha256"].fillna(pd.Series([f"row {row}" for row in both.index]))  # equal to nothing
    both["phash"] = [bytes.fromhex(one) if isinstance(one, str) else None for one in both["phash"]]
    links = find_duplicates(both, np.arange(len(both)) >= len(there))
    edges = (np.ones(len(links)), (links["first"], links["second"]))
    _, group = connected_components(coo_array(edges, shape=(len(both), len(both))), directed=False)
    of_group = _look_up(pd.Series(group[len(there) :]), pd.Series(group[: len(there)]))

    direct = links[(links["first"] < len(there)) & (links["second"] >= len(there))].sort_values("distance")
    nearest = direct.drop_duplicates("second").set_index(
        direct.drop_duplicates("second")["second"] - len(there)
    )
    row = nearest["first"].reindex(here.index).astype("float64")
    return pd.DataFrame({"row": row.fillna(of_group), "distance": nearest["distance"].reindex(here.index)})
