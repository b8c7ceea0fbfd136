"""What a preparation has to do: listing x metadata x what is known already, as pure tables."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from skinml.dataset.metadata import Metadata
from skinml.dataset.splits import assign
from skinml.errors import Reason
from skinml.quarantine import RETRIED
from skinml.schemas import IMAGE_VERSION
from skinml.storage.urls import image_id

FOUND_BY_PLANNING = (Reason.NO_METADATA.value, Reason.DUPLICATE_ID.value)
"""Reasons that depend on the other images and the metadata, judged anew at every run without reading bytes."""


@dataclass(frozen=True)
class Plan:
    """What to do, and what is already decided.

    Attributes:
        work: images to decode, in order of image_id: the listing's columns, the metadata's, `split`, and
            `in_samples` (its row is in `samples` already, only this dataset's pixels are missing).
        rejected: images refused before reading, new to the quarantine: uri, etag, size_bytes, reason, detail.
        listed: image objects in the listing.
        skipped: of these, how many are prepared, or quarantined for good, with the same bytes.
        superseded: rows of `samples` (uri, etag) in whose place the work puts a newer version.
        metadata_without_image: image_ids that the metadata has and the listing has not.
    """

    work: pd.DataFrame
    rejected: pd.DataFrame
    listed: int
    skipped: int
    superseded: pd.DataFrame
    metadata_without_image: tuple[str, ...]


def make_plan(
    listing: pd.DataFrame,
    metadata: Metadata,
    samples: pd.DataFrame,
    index: pd.DataFrame,
    quarantine: pd.DataFrame,
) -> Plan:
    """Decide for every listed image whether it is skipped, rejected or to be decoded.

    Args:
        listing: columns uri, etag, size_bytes, in the order of the image roots.
        metadata: the labels.
        samples: uri, etag, image_id of what `samples` holds.
        index: uri, etag of the pixels that this dataset holds.
        quarantine: uri, etag, reason of what `prepare` quarantined before.
    """
    images = listing[["uri", "etag", "size_bytes"]].copy()
    images["image_id"] = images["uri"].map(image_id).astype("str")
    reason, detail = _reject(images, metadata, samples)
    rejected = images.assign(reason=reason, detail=detail)[reason.notna()]
    usable = images[reason.isna()]

    known_broken = quarantine[~quarantine["reason"].isin(RETRIED + FOUND_BY_PLANNING)]
    in_samples = _among(usable, samples)
    skipped = (in_samples & _among(usable, index)) | _among(usable, known_broken)
    work = usable.assign(in_samples=in_samples)[~skipped]
    work = work.merge(metadata.rows, on="image_id", how="left", validate="one_to_one")
    work["split"] = assign(work["lesion_id"])
    work = work.sort_values(["image_id", "uri"], ignore_index=True)

    rejected_before = _among(rejected, quarantine, [*IMAGE_VERSION, "reason"])
    newer = work.loc[~work["in_samples"], ["uri"]]
    return Plan(
        work=work,
        rejected=rejected[~rejected_before].drop(columns="image_id").reset_index(drop=True),
        listed=len(images),
        skipped=int(skipped.sum() + rejected_before.sum()),
        superseded=samples.loc[samples["uri"].isin(newer["uri"]), IMAGE_VERSION].reset_index(drop=True),
        metadata_without_image=tuple(sorted(set(metadata.rows["image_id"]) - set(images["image_id"]))),
    )


def _reject(
    images: pd.DataFrame, metadata: Metadata, samples: pd.DataFrame
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Reason and detail for images that cannot become samples whatever their bytes are; null for the others."""
    reason = pd.Series(None, index=images.index, dtype=object)
    detail = pd.Series(None, index=images.index, dtype=object)

    unknown = ~images["image_id"].isin(metadata.rows["image_id"])
    reason[unknown] = Reason.NO_METADATA.value
    detail[unknown] = "the metadata has no row for image_id " + images.loc[unknown, "image_id"]

    torn = images["image_id"].isin(metadata.conflicting)
    reason[torn] = Reason.DUPLICATE_ID.value
    detail[torn] = "the metadata has rows that differ for image_id " + images.loc[torn, "image_id"]

    # The first file of an image_id is the image: one that is a sample already, else the first listed.
    taken = samples.drop_duplicates("image_id").set_index("image_id")["uri"]
    first = images.drop_duplicates("image_id").set_index("image_id")["uri"]
    owner = images["image_id"].map({**first.to_dict(), **taken.to_dict()})
    second = (images["uri"] != owner) & ~unknown & ~torn
    reason[second] = Reason.DUPLICATE_ID.value
    detail[second] = "image_id " + images.loc[second, "image_id"] + " is taken by " + owner[second]
    return reason, detail


def _among(rows: pd.DataFrame, known: pd.DataFrame, columns: list[str] = IMAGE_VERSION) -> pd.Series[bool]:
    """Which rows are among the known ones, by these columns."""
    keys = pd.MultiIndex.from_frame(rows[columns])
    return pd.Series(keys.isin(pd.MultiIndex.from_frame(known[columns])), index=rows.index, dtype=bool)


def unmatched(plan: Plan, metadata: Metadata) -> pd.DataFrame:
    """What does not match, by name: image_id and what is wrong with it; for people, beside the quarantine."""
    problems = {
        "metadata without an image": plan.metadata_without_image,
        "several equal rows in the metadata": metadata.repeated,
        "rows that differ in the metadata": metadata.conflicting,
    }
    rows = [(image_id, problem) for problem, image_ids in problems.items() for image_id in image_ids]
    return pd.DataFrame(rows, columns=["image_id", "problem"])
