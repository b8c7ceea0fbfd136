"""Plan a preparation: compare listing, metadata and tables, and decide what to do with each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from skinml.dataset.id_spelling import respell
from skinml.dataset.metadata import Metadata
from skinml.dataset.splits import assign
from skinml.errors import Reason
from skinml.records.quarantine import RETRIED
from skinml.schemas import IMAGE_VERSION
from skinml.storage.folder_listing import why_unreadable
from skinml.storage.listed import UNREADABLE
from skinml.storage.urls import file_path, image_ids
from skinml.tables import Snapshot
from skinml.tables.matching import among, is_in, look_up, texts

FOUND_BY_PLANNING = (Reason.NO_METADATA.value, Reason.DUPLICATE_ID.value)
"""Reasons that depend on metadata and other images; they are decided again in every run, without reading
bytes."""


LABELS = ["lesion_id", "dx", "dx_type", "age", "sex", "localization", "source", "metadata_row"]
"""The columns of a sample that come from the metadata, and are updated if the metadata is corrected."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The decisions about all listed images and about existing samples.

    Attributes:
        work: images to decode, in order of image_id: the listing's columns, the metadata's, `split`,
            `split_group`, and `in_samples` (its row is in `samples` already, only pixels are missing).
        rejected: images refused before reading, new to the quarantine: uri, etag, size_bytes, reason, detail.
        listed: image objects in the listing.
        skipped: of these, how many with the same bytes are prepared or permanently quarantined.
        superseded: image_ids in `samples` that the work replaces by a newer version.
        relabelled: samples whose metadata was corrected: image_id and the new LABELS.
        metadata_without_image: image_ids that are in the metadata but not in the listing.
        metadata_removed: image_ids of samples whose metadata is missing now or contradicts itself; the samples
            stay unchanged.
        metadata_repeated: image_ids with several equal rows in the metadata.
        metadata_conflicting: image_ids with several different rows in the metadata.
        dropped: images that are left out because of their class; they count as skipped.
        left_out: image_ids of samples whose class is dropped now: they are removed from the table.
        respelled: how many image_ids of the metadata are spelled differently from their files, by kind.
        before: the state of `samples` on which the plan is based; None if it is not known.
    """

    work: pd.DataFrame
    rejected: pd.DataFrame
    listed: int
    skipped: int
    superseded: tuple[str, ...]
    relabelled: pd.DataFrame
    metadata_without_image: tuple[str, ...]
    metadata_removed: tuple[str, ...]
    metadata_repeated: tuple[str, ...]
    metadata_conflicting: tuple[str, ...]
    dropped: int = 0
    left_out: tuple[str, ...] = ()
    respelled: Mapping[str, int] = field(default_factory=dict)
    before: Snapshot | None = None

    def without_work(self) -> Plan:
        """Return the plan without its work, which has a row per new image; a commit does not need it."""
        return replace(self, work=self.work[:0].copy())


def make_plan(
    listing: pd.DataFrame,
    metadata: Metadata,
    samples: pd.DataFrame,
    index: pd.DataFrame,
    quarantine: pd.DataFrame,
    roots: Sequence[str] = (),
) -> Plan:
    """Decide for every listed image whether to skip, reject or decode it.

    Args:
        listing: columns uri, etag, size_bytes, in the order of the image roots.
        metadata: the labels.
        samples: the rows of `samples`: uri, etag, image_id, split_group and LABELS.
        index: uri, etag of the pixels in this dataset.
        quarantine: uri, etag, reason of the images that `prepare` has quarantined.
        roots: uris of the folders and prefixes that were listed. If a sample below them is not in the listing,
            its file is gone, and another file may take its image_id.
    """
    folders, listing = _unreadable_folders(listing)
    images = listing[["uri", "etag", "size_bytes"]].copy()
    images["image_id"] = image_ids(images["uri"])
    spelling = respell(metadata.image_ids(), images["image_id"].drop_duplicates())
    metadata = metadata.respelled(spelling)
    dropped = is_in(images["image_id"], texts(metadata.dropped))
    in_samples = among(images, samples, IMAGE_VERSION)
    without = ~is_in(images["image_id"], metadata.rows["image_id"])
    removed = in_samples & without & ~dropped
    reason, detail = _reject(images, metadata, spelling.unclear, _still_there(samples, images, roots))
    refused = reason.notna() & ~removed & ~dropped
    rejected = images.assign(reason=reason, detail=detail)[refused]

    known_broken = quarantine[~quarantine["reason"].isin(RETRIED + FOUND_BY_PLANNING)]
    has_pixels, is_broken = among(images, index, IMAGE_VERSION), among(images, known_broken, IMAGE_VERSION)
    skipped = removed | dropped | (~refused & ((in_samples & has_pixels) | is_broken))
    work = images.assign(in_samples=in_samples)[~skipped & ~refused]
    work = work.merge(metadata.rows, on="image_id", how="left", validate="one_to_one")
    work["split_group"] = _groups(work["lesion_id"], samples)
    work["split"] = assign(work["split_group"])
    work = work.sort_values(["image_id", "uri"], ignore_index=True)

    rejected_before = among(rejected, quarantine, [*IMAGE_VERSION, "reason"])
    newer = work.loc[~work["in_samples"], "image_id"]
    return Plan(
        work=work,
        rejected=pd.concat([rejected[~rejected_before].drop(columns="image_id"), folders], ignore_index=True),
        listed=len(images) + len(folders),
        skipped=int(skipped.sum() + rejected_before.sum()),
        superseded=tuple(samples.loc[is_in(samples["image_id"], newer), "image_id"]),
        relabelled=_relabelled(samples, images[in_samples & ~without & ~refused], metadata),
        metadata_without_image=_missing_from(metadata.rows["image_id"], images["image_id"]),
        metadata_removed=tuple(images.loc[removed, "image_id"]),
        metadata_repeated=metadata.repeated,
        metadata_conflicting=metadata.conflicting,
        dropped=int(dropped.sum()),
        left_out=tuple(images.loc[in_samples & dropped, "image_id"]),
        respelled=spelling.ways,
    )


def _unreadable_folders(listing: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split into folders that could not be listed, which every run rejects again, and images."""
    is_folder = listing["etag"] == UNREADABLE
    folders = listing.loc[is_folder, ["uri", "etag", "size_bytes"]]
    why = [why_unreadable(file_path(uri)) for uri in folders["uri"]]
    return folders.assign(reason=Reason.READ_ERROR.value, detail=why), listing[~is_folder]


def _still_there(samples: pd.DataFrame, images: pd.DataFrame, roots: Sequence[str]) -> pd.DataFrame:
    """Return the samples whose file is listed, or is outside the folders of this run."""
    below = samples["uri"].str.startswith(tuple(f"{root.rstrip('/')}/" for root in roots))
    return samples[~below | is_in(samples["uri"], images["uri"])]


def _missing_from(wanted: pd.Series[str], there: pd.Series[str]) -> tuple[str, ...]:
    return tuple(wanted[~is_in(wanted, there)].sort_values())


def _groups(lesions: pd.Series[str], samples: pd.DataFrame) -> pd.Series[str]:
    """Return the group of each lesion: that of its samples, or the lesion itself if it has none."""
    return look_up(lesions, samples["lesion_id"], samples["split_group"]).fillna(lesions)


def _relabelled(samples: pd.DataFrame, images: pd.DataFrame, metadata: Metadata) -> pd.DataFrame:
    """Return the samples of these images whose labels in the metadata differ from the table."""
    old = samples.loc[among(samples, images, IMAGE_VERSION), ["image_id", *LABELS]]
    now = old[["image_id"]].merge(metadata.rows, on="image_id", how="left", validate="one_to_one")
    differs = pd.Series(False, index=now.index)
    for name in LABELS:
        before, after = old[name].reset_index(drop=True), now[name]
        differs |= (before != after).fillna(True).astype(bool) & ~(before.isna() & after.isna())
    return now.loc[differs, ["image_id", *LABELS]].reset_index(drop=True)


def _reject(
    images: pd.DataFrame, metadata: Metadata, unclear: Mapping[str, str], samples: pd.DataFrame
) -> tuple[pd.Series[str], pd.Series[str]]:
    """Return reason and detail of images that cannot become samples whatever their bytes; null for others."""
    reason = pd.Series(None, index=images.index, dtype=object)
    detail = pd.Series(None, index=images.index, dtype=object)

    unknown = ~is_in(images["image_id"], metadata.rows["image_id"])
    reason[unknown] = Reason.NO_METADATA.value
    detail[unknown] = "the metadata has no row for image_id " + images.loc[unknown, "image_id"]

    torn = is_in(images["image_id"], texts(metadata.conflicting))
    reason[torn] = Reason.DUPLICATE_ID.value
    detail[torn] = "the metadata has different rows for image_id " + images.loc[torn, "image_id"]

    several = unknown & ~torn & is_in(images["image_id"], texts(unclear))
    reason[several] = Reason.DUPLICATE_ID.value
    detail[several] = images.loc[several, "image_id"].map(dict(unclear))

    # The first file of an image_id is used: the one that is a sample already, else the first listed.
    names = pd.concat([samples[["image_id", "uri"]], images[["image_id", "uri"]]])
    owner = look_up(images["image_id"], names["image_id"], names["uri"])
    second = (images["uri"] != owner) & ~unknown & ~torn
    reason[second] = Reason.DUPLICATE_ID.value
    detail[second] = "image_id " + images.loc[second, "image_id"] + " is already used by " + owner[second]
    return reason, detail


def likeliest_reason(plan: Plan) -> str:
    """Return the most likely cause of the plan's rejections, an example and advice; "" if it has none."""
    if plan.rejected.empty:
        return ""
    most = plan.rejected["reason"].mode()[0]
    example = plan.rejected.loc[plan.rejected["reason"] == most, "detail"].iloc[0]
    if most != Reason.NO_METADATA:
        return f"most likely: {example}; correct the metadata, or allow more"
    others = plan.metadata_without_image
    if not others:
        return (
            f"most likely the metadata covers only part of these images ({example}): add the rest with another "
            "--metadata, or allow more"
        )
    return (
        f"most likely the metadata is for other images: {example}, but rows for {', '.join(others[:3])}; give "
        "the metadata of these images, or allow more"
    )


def unmatched(plan: Plan) -> pd.DataFrame:
    """Return the image_ids that do not match between metadata and images, and what is wrong with each."""
    problems = {
        "metadata without an image": plan.metadata_without_image,
        "a sample without metadata": plan.metadata_removed,
        "several equal rows in the metadata": plan.metadata_repeated,
        "different rows in the metadata": plan.metadata_conflicting,
    }
    rows = [(image_id, problem) for problem, image_ids in problems.items() for image_id in image_ids]
    return pd.DataFrame(rows, columns=["image_id", "problem"])
