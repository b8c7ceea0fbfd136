"""Tests of skinml/layout.py: what of an archive is the workspace's own."""

from __future__ import annotations

import re

import pytest

from skinml.errors import RequestError
from skinml.layout import (
    OWN_FOLDERS,
    explanation_url,
    models_url,
    shards_url,
    under_way_url,
    unpublished_parts_url,
    within_archive,
)
from skinml.schemas import TABLES


@pytest.mark.parametrize("place", ["/data", "s3://bucket/data"])
def test_what_of_an_archive_is_the_workspaces_own(place: str) -> None:
    assert within_archive(f"{place}/ws", place) == (f"{place}/ws",)
    assert within_archive(f"{place}/ws", f"{place}/ws2") == ()
    assert within_archive(f"{place}/ws", f"{place}/ws/images") == ()
    own = within_archive(place, place)
    assert own == tuple(f"{place}/{name}" for name in dict.fromkeys(OWN_FOLDERS))
    made = {models_url(place), under_way_url(place), unpublished_parts_url(place), shards_url(place, "x")[:-2]}
    assert made | {f"{place}/{table}" for table in TABLES} <= {*own}
    for folder in own:
        with pytest.raises(RequestError) as refusal:
            within_archive(place, f"{folder}/deep")
        assert str(refusal.value) == (
            f"{folder}/deep: is inside {folder}, where the workspace keeps its own files; give the folder that "
            "holds the images"
        )
        with pytest.raises(RequestError):
            within_archive(place, folder)


def test_a_whole_bucket_or_disk_holds_the_workspace() -> None:
    assert within_archive("s3://bucket/ws", "s3://bucket") == ("s3://bucket/ws",)
    assert within_archive("/data/ws", "/") == ("/data/ws",)
    assert within_archive("s3://bucket", "s3://bucket/images") == ()
    assert "/scores" in within_archive("/", "/")


NAMES = ["../../etc", "a/b", "<b>", "", ".", "..", "é", "x" * 300, "\udcff", "a b", ".hidden"]


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_of_an_explanation_is_one_plain_folder_for_each_name(name: str) -> None:
    url = explanation_url("/ws", "score-1", name)
    folder = url.removeprefix("/ws/reports/score-1/")
    assert re.fullmatch(r"explain-[0-9A-Za-z_-][0-9A-Za-z._-]{0,130}", folder)
    assert explanation_url("/ws", "score-1", f"{name}x") != url
    report = explanation_url("/ws", name, "ISIC_1")
    assert re.fullmatch(r"/ws/reports/[0-9A-Za-z_-][0-9A-Za-z._-]{0,130}/explain-ISIC_1", report)


def test_the_folder_of_an_ordinary_image_has_its_name() -> None:
    assert explanation_url("s3://b/ws", "score-1", "ISIC_1.v2") == "s3://b/ws/reports/score-1/explain-ISIC_1.v2"
