"""Tests of skinml/dataset/neighbours.py : no duplicate straddles a split, whenever it arrives."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from skinml import tables
from skinml.dataset.metadata import Metadata, parse_metadata
from skinml.dataset.splits import split_of
from tests.unit.dataset.test_publish_samples import prepare
from tests.unit.dataset.test_write_shard import fill

Jpeg = Callable[..., bytes]

LESIONS = [f"lesion {number}" for number in range(100)]
TEST = next(name for name in LESIONS if split_of(name) == "test")
TRAIN = next(name for name in LESIONS if split_of(name) == "train")
OTHER = next(name for name in LESIONS if split_of(name) == "val")


def labels(lesions: dict[str, str], **dx: str) -> Metadata:
    lines = [f"{image_id},{lesion},{dx.get(image_id, 'nv')}" for image_id, lesion in lesions.items()]
    return parse_metadata("\n".join(["image_id,lesion_id,dx", *lines]).encode(), "m.csv")


def samples(place: str) -> pd.DataFrame:
    found: pd.DataFrame = tables.read(f"{place}/workspace", "samples").to_pandas().set_index("image_id")
    return found.sort_index()


def test_lesions_that_share_an_image_share_a_split(place: str, jpeg: Jpeg) -> None:
    """Found within one run, in different shards; a third image of either lesion goes with them."""
    fill(f"{place}/archive", {"a.jpg": jpeg(1), "b.jpg": jpeg(2), "c.jpg": jpeg(1), "d.jpg": jpeg(4)})
    lesions = {"a": TEST, "b": OTHER, "c": TRAIN, "d": TEST}
    prepared = prepare(place, labels(lesions, c="mel"), "run 1")
    assert prepared.found.counts() == {
        "identical_pairs": 1,
        "near_duplicate_pairs": 0,
        "duplicates_across_lesions": 1,
        "duplicates_across_diagnoses": 1,
    }
    prepared.publish()
    rows = samples(place)
    assert rows["split"].to_dict() == {"a": "train", "b": "val", "c": "train", "d": "train"}
    assert rows["split_group"].to_dict() == {"a": TRAIN, "b": OTHER, "c": TRAIN, "d": TRAIN}
    assert rows["lesion_id"].to_dict() == lesions, "the lesion itself stays what it is"


def test_a_newcomer_moves_what_was_there(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})
    lesions = {"a": TEST, "b": OTHER, "c": TRAIN}
    first = prepare(place, labels(lesions), "run 1").publish()
    assert samples(place)["split"].to_dict() == {"a": "test", "b": "val"}
    fill(f"{place}/archive", {"c.jpg": jpeg(1)})
    second = prepare(place, labels(lesions), "run 2").publish()
    assert samples(place)["split"].to_dict() == {"a": "train", "b": "val", "c": "train"}
    assert first is not None
    assert second is not None
    for version in range(second + 1):
        rows = tables.read(f"{place}/workspace", "samples", at=version).to_pandas()
        assert rows.groupby("sha256")["split"].nunique().le(1).all(), "a reader saw a duplicate straddle"


def test_the_order_of_arrival_does_not_matter(place: str, jpeg: Jpeg) -> None:
    lesions = {"a": TEST, "c": TRAIN}
    for run, name in enumerate("ca"):
        fill(f"{place}/archive", {f"{name}.jpg": jpeg(1)})
        prepare(place, labels(lesions), f"run {run}").publish()
    assert samples(place)["split_group"].to_dict() == {"a": TRAIN, "c": TRAIN}


def test_a_later_image_of_a_joined_lesion_stays_with_it(place: str, jpeg: Jpeg) -> None:
    lesions = {"a": TEST, "c": TRAIN, "d": TEST}
    fill(f"{place}/archive", {"a.jpg": jpeg(1), "c.jpg": jpeg(1)})
    prepare(place, labels(lesions), "run 1").publish()
    fill(f"{place}/archive", {"d.jpg": jpeg(9)})
    prepare(place, labels(lesions), "run 2").publish()
    assert samples(place)["split"].to_dict() == {"a": "train", "c": "train", "d": "train"}


def test_corrected_metadata_reaches_the_samples(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})
    before = prepare(place, labels({"a": TEST, "b": OTHER}), "run 1").publish()
    corrected = prepare(place, labels({"a": TRAIN, "b": OTHER}, b="mel"), "run 2")
    assert corrected.plan.relabelled["image_id"].tolist() == ["a", "b"]
    assert corrected.counts.skipped == 2
    corrected.publish()
    rows = samples(place)
    assert rows["lesion_id"].to_dict() == {"a": TRAIN, "b": OTHER}
    assert rows["split"].to_dict() == {"a": "train", "b": "val"}
    assert rows["dx"].to_dict() == {"a": "nv", "b": "mel"}
    old = tables.read(f"{place}/workspace", "samples", at=before).to_pandas()
    assert set(old["dx"]) == {"nv"}, "what a model was trained on stays readable"
    assert prepare(place, labels({"a": TRAIN, "b": OTHER}, b="mel"), "run 3").plan.relabelled.empty


def test_a_corrected_lesion_joins_the_duplicates_of_its_images(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"a.jpg": jpeg(1), "b.jpg": jpeg(1)})
    prepare(place, labels({"a": TEST, "b": TEST}), "run 1").publish()
    assert set(samples(place)["split"]) == {"test"}
    prepare(place, labels({"a": TEST, "b": TRAIN}), "run 2").publish()
    assert samples(place)["split"].to_dict() == {"a": "train", "b": "train"}


def test_pairs_are_named_with_lesions_and_diagnoses(place: str, jpeg: Jpeg) -> None:
    fill(f"{place}/archive", {"a.jpg": jpeg(1), "b.jpg": jpeg(1), "c.jpg": jpeg(3)})
    pairs = prepare(place, labels({"a": TEST, "b": TRAIN, "c": OTHER}, b="mel"), "run").found.pairs
    assert pairs.to_dict("records") == [
        {
            **{"kind": "identical", "distance": 0},
            **{"first_image_id": "a", "first_lesion_id": TEST, "first_dx": "nv"},
            **{"second_image_id": "b", "second_lesion_id": TRAIN, "second_dx": "mel"},
        }
    ]
