"""What a model knows is left out of an evaluation: identical, near, or of a known lesion."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from skinml import tables
from skinml.errors import RequestError
from skinml.external_validation.seen import LEFT_OUT, KnownImages, known_images, left_out
from skinml.models import registry

ZERO = "00" * 32
ONES = "ff" * 32


def known(*rows: tuple[str, str, str | None, str | None]) -> KnownImages:
    frame = pd.DataFrame(rows, columns=["image_id", "lesion_id", "sha256", "phash"]).assign(split="train")
    return KnownImages(frame, 1)


def images(*rows: tuple[str, str, str | None, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["image_id", "lesion_id", "sha256", "phash"])
    return frame.assign(dx="nv", uri="file:///" + frame["image_id"])


def test_each_image_has_the_strongest_reason_and_names_the_known_image() -> None:
    its = known(("k1", "K1", "a", ZERO), ("k2", "K2", "b", ONES))
    found = left_out(
        images(
            ("same", "K2", "a", ZERO),
            ("close", "K1", "c", "03" + "00" * 31),
            ("lesion", "K2", "d", "0f" * 32),
            ("new", "N", "e", "f0" * 32),
            ("even", "N", "f", None),
        ),
        its,
    )
    assert found[["image_id", "why", "known_image_id"]].values.tolist() == [
        ["same", "identical", "k1"],
        ["close", "near", "k1"],
        ["lesion", "lesion", "k2"],
    ]
    assert found["distance"].tolist()[:2] == [0, 2]
    assert list(found) == LEFT_OUT


def test_thirty_bits_are_near_and_thirty_two_are_not() -> None:
    its = known(("k", "K", "a", ZERO))
    near, far = "3f" + "ff" * 3 + "00" * 28, "ff" * 4 + "00" * 28
    assert left_out(images(("i", "I", "b", near)), its)["why"].tolist() == ["near"]
    assert left_out(images(("i", "I", "b", far)), its).empty


def test_near_to_a_copy_counts_too() -> None:
    """All but the first of several equal images are linked to that one alone."""
    its = known(("k", "K", "a", ZERO))
    copy = "0f" + "00" * 31
    found = left_out(images(("first", "I", "b", copy), ("second", "J", "c", copy)), its)
    assert found["why"].tolist() == ["near", "near"]


def test_unknown_hashes_are_equal_to_nothing() -> None:
    its = known(("k", "K", None, None))
    assert left_out(images(("i", "I", None, None), ("j", "J", "a", None)), its).empty


@pytest.mark.parametrize("its", [known(), KnownImages(known().rows, None)])
def test_nothing_known_and_nothing_to_leave_out(its: KnownImages) -> None:
    assert left_out(images(("i", "I", "a", ZERO), ("j", "I", "a", ZERO)), its).empty
    assert left_out(images(), known(("k", "K", "a", ZERO))).empty


def test_a_model_knows_the_version_of_samples_that_its_manifest_names(trained: object) -> None:
    workspace = str(trained)
    manifest = registry.find(workspace, "champion")
    found = known_images(workspace, manifest)
    assert found.version == manifest.dataset["version"]
    assert len(found.rows) == tables.read(workspace, "samples").num_rows
    assert set(found.rows["split"]) == {"train", "val", "test"}
    thesis = manifest.model_copy(update={"protocol": "thesis"})
    assert set(known_images(workspace, thesis).rows["split"]) == {""}
    older = manifest.model_copy(update={"dataset": {"version": 99}})
    with pytest.raises(RequestError, match="was trained on version 99 of samples"):
        known_images(workspace, older)


def test_a_bundle_in_another_workspace_knows_nothing(trained: object, tmp_path: object) -> None:
    manifest = registry.find(str(trained), "champion")
    assert known_images(str(tmp_path), manifest).version is None


def test_a_table_that_was_made_anew_is_not_the_one_that_a_model_was_trained_on(
    trained: Path, tmp_path: Path
) -> None:
    """Its version of the same number has other images: none of those that the model was trained on is known."""
    workspace = str(tmp_path / "workspace")
    shutil.copytree(trained, workspace)
    rows = tables.read(workspace, "samples")
    shutil.rmtree(Path(workspace, "samples"))
    renamed = pa.array([f"new-{number}" for number in range(len(rows))])
    rows = rows.set_column(rows.schema.get_field_index("image_id"), rows.schema.field("image_id"), renamed)
    manifest = registry.find(workspace, "champion")
    for number in range(int(manifest.dataset["version"]) + 1):
        part = rows if not number else rows.slice(0, 1)
        tables.append(workspace, "samples", part, f"prepare-{number}")
    assert known_images(workspace, manifest).version is None
