"""Tests of skinml/retraining/unseen.py: no image that the champion was trained on judges it."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from skinml.errors import RequestError
from skinml.external_validation.seen import KNOWN, KnownImages
from skinml.retraining.unseen import unseen_test_images


def samples(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """image_id, lesion_id, split; every image has bytes and a perceptual hash of its own."""
    made = pd.DataFrame(rows, columns=["image_id", "lesion_id", "split"])
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in made["image_id"]]
    return made.assign(
        sha256=hashes,
        phash=hashes,
        split_group=made["lesion_id"],
        dx="nv",
        uri=[f"file:///a/{name}" for name in made["image_id"]],
    )


def known(rows: pd.DataFrame, version: int | None = 1) -> KnownImages:
    return KnownImages(rows[KNOWN], version)


BEFORE = samples(("a", "A", "train"), ("b", "B", "val"), ("c", "C", "test"))


def test_test_lesions_stay_test_lesions_and_new_ones_come() -> None:
    now = pd.concat([BEFORE, samples(("d", "D", "test"), ("e", "E", "train"))], ignore_index=True)
    found = unseen_test_images(now, known(BEFORE), "v1")
    assert (found.rows["image_id"].tolist(), found.left_out) == (["c", "d"], 0)


@pytest.mark.parametrize("known_by", ["sha256", "phash", "lesion_id"])
def test_what_the_champion_was_trained_on_is_left_out_with_its_group(known_by: str) -> None:
    new = samples(("d", "D", "test"), ("e", "E", "test"), ("f", "F", "test"))
    new[known_by] = [BEFORE[known_by].tolist()[1], *new[known_by].tolist()[1:]]
    new["split_group"] = ["D", "D", "F"]  # e is a duplicate of d, under another lesion
    now = pd.concat([BEFORE, new], ignore_index=True)
    found = unseen_test_images(now, known(BEFORE), "v1")
    assert (found.rows["image_id"].tolist(), found.left_out) == (["c", "f"], 2)


def test_lesions_that_share_an_image_are_one_lesion() -> None:
    new = samples(("d", "D", "test"), ("e", "E", "test"), ("f", "F", "test"))
    new["split_group"] = ["D", "D", None]  # of an old table
    found = unseen_test_images(pd.concat([BEFORE, new], ignore_index=True), known(BEFORE), "v1")
    assert found.lesions() == {"nv": {"C", "D", "F"}}
    assert found.rows["split_group"].tolist() == ["C", "D", "D", "F"]


def test_a_champion_of_another_protocol_knows_all_its_samples() -> None:
    now = pd.concat([BEFORE, samples(("d", "D", "test"))], ignore_index=True)
    found = unseen_test_images(now, known(BEFORE.assign(split="")), "v1")
    assert found.rows["image_id"].tolist() == ["d"]
    with pytest.raises(RequestError, match="v1: it was trained on all 1 test images"):
        unseen_test_images(BEFORE, known(BEFORE.assign(split="")), "v1")


def test_without_test_lesions_or_knowledge_nobody_is_judged() -> None:
    with pytest.raises(RequestError, match="no lesion is in the split test"):
        unseen_test_images(BEFORE[:2], known(BEFORE), "v1")
    with pytest.raises(RequestError, match="the samples that it was trained on are not in this workspace"):
        unseen_test_images(BEFORE, known(BEFORE[:0], None), "v1")
