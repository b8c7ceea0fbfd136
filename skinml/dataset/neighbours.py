"""Find duplicates of this run's images among all samples, and the lesions that they join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from skinml import tables
from skinml.dataset.duplicates import find_duplicates, group_lesions
from skinml.tables import Part
from skinml.tables.matching import is_in, look_up

NAMED = ["image_id", "lesion_id", "dx", "sha256", "phash", "split_group"]


PAIRS = [
    *("kind", "distance"),
    *(f"{end}_{name}" for end in ("first", "second") for name in ("image_id", "lesion_id", "dx")),
]


@dataclass(frozen=True, eq=False)
class Duplicates:
    """The duplicates of a run.

    Attributes:
        pairs: kind (identical or near), distance in bits, and image_id, lesion_id, dx of the `first` and the
            `second` image.
        groups: lesions that these pairs moved into another group, and their new group.
    """

    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PAIRS))
    groups: Mapping[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Count the pairs of each kind, and those that link two lesions or two diagnoses."""
        pairs = self.pairs
        return {
            "identical_pairs": int((pairs["kind"] == "identical").sum()),
            "near_duplicate_pairs": int((pairs["kind"] == "near").sum()),
            "duplicates_across_lesions": int((pairs["first_lesion_id"] != pairs["second_lesion_id"]).sum()),
            "duplicates_across_diagnoses": int((pairs["first_dx"] != pairs["second_dx"]).sum()),
        }

    def said(self) -> str:
        """Return the counts in a sentence."""
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts().items())


def find_among_samples(workspace: str, parts: Sequence[Part], corrected: pd.DataFrame) -> Duplicates:
    """Compare the new samples, and samples with a corrected lesion_id, with all samples.

    Args:
        workspace: normalised URL.
        parts: uncommitted parts of `samples`.
        corrected: image_id and lesion_id of samples whose lesion_id may have changed.
    """
    new = tables.read_parts(workspace, "samples", parts, NAMED).to_pandas().assign(new=True)
    if new.empty and corrected.empty:
        return Duplicates()
    old = tables.read(workspace, "samples", NAMED).to_pandas()
    old = old[~is_in(old["image_id"], new["image_id"])]
    lesions = look_up(old["image_id"], corrected["image_id"], corrected["lesion_id"])
    old = old.assign(new=lesions.notna(), lesion_id=lesions.fillna(old["lesion_id"]))
    old["split_group"] = old["split_group"].where(~old["new"])  # it is that of the lesion before
    images = pd.concat([old, new], ignore_index=True)
    images["phash"] = [bytes.fromhex(value) if isinstance(value, str) else None for value in images["phash"]]
    return _found(images, find_duplicates(images, images["new"].to_numpy(dtype=bool)))


def _found(images: pd.DataFrame, links: pd.DataFrame) -> Duplicates:
    """Return the links with names, and the groups that they make."""
    pairs = links[["kind", "distance"]].reset_index(drop=True)
    for end in ("first", "second"):
        rows = images.iloc[links[end].astype("int64")].reset_index(drop=True)
        for name in ("image_id", "lesion_id", "dx"):
            pairs[f"{end}_{name}"] = rows[name]
    across = pairs[pairs["first_lesion_id"] != pairs["second_lesion_id"]]
    joined = across[["first_lesion_id", "second_lesion_id"]].set_axis(["lesion_a", "lesion_b"], axis="columns")
    return Duplicates(pairs, group_lesions(joined, _known_groups(images)))


def _known_groups(images: pd.DataFrame) -> dict[str, str]:
    """Return the groups of lesions that are in a group of another lesion."""
    joined = images[images["lesion_id"] != images["split_group"]].dropna(subset=["split_group"])
    return dict(zip(joined["lesion_id"], joined["split_group"], strict=True))
