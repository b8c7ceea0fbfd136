"""Find the test images that neither the champion nor the challenger was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from skinml.errors import RequestError
from skinml.external_validation.seen import KnownImages, left_out

FITTED_ON = ("train", "val")
"""The splits that a fit sees: weights are fitted on the one, and the epoch is chosen on the other."""


@dataclass(frozen=True, eq=False)
class Unseen:
    """The images to judge by, rows of `samples` with a `split_group`; how many test images were left out."""

    rows: pd.DataFrame
    left_out: int

    def lesions(self) -> dict[str, frozenset[str]]:
        """The lesions of each diagnosis: all that share a duplicate image are one, named by `split_group`.

        The gate resamples lesions. Copies of a photograph under several lesion ids would count several times,
        and would make every interval too narrow.
        """
        return {str(name): frozenset(ids.astype(str)) for name, ids in self.rows.groupby("dx")["split_group"]}


def unseen_test_images(samples: pd.DataFrame, champion: KnownImages, version: str) -> Unseen:
    """Return the test images that the champion was not trained on either.

    A lesion keeps its split, so most test images were test images for the champion already, or are new. Left
    out are those that the champion knows from its training: the same bytes, a near-duplicate, or an image of
    the same lesion (an image may have been relabelled as another lesion's); and with each its whole group.

    Args:
        samples: the version of `samples` that the challenger was trained on, with whole lesions held out.
        champion: the samples that the champion was made from. If its protocol drew images in another way, so
            that `split` is blank, all of them count as trained on.
        version: the champion's, for errors.

    Raises:
        RequestError: what the champion was trained on is not known, or no image is left.
    """
    if champion.version is None:
        raise RequestError(
            f"champion {version}: the samples that it was trained on are not in this workspace, so no image can"
            " be shown to be new to it; compare with skinml evaluate, and promote by hand"
        )
    test = samples[samples["split"] == "test"].reset_index(drop=True)
    test["split_group"] = test["split_group"].where(test["split_group"].notna(), test["lesion_id"])
    trained_on = champion.rows[champion.rows["split"].isin([*FITTED_ON, ""])]
    known = left_out(test, KnownImages(trained_on, champion.version))
    groups = test.loc[test["image_id"].isin(known["image_id"]), "split_group"].unique()
    rows = test[~test["split_group"].isin(groups)].reset_index(drop=True)
    if rows.empty:
        raise RequestError(
            f"champion {version}: it was trained on all {len(test)} test images, so there is nothing to judge a"
            " challenger by; prepare more lesions"
            if len(test)
            else "no lesion is in the split test, so there is nothing to judge a challenger by; prepare more"
        )
    return Unseen(rows, len(test) - len(rows))
