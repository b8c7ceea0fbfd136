"""Tests of skinml/images/load.py: one answer for each listed image, in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skinml.errors import Reason
from skinml.images.decode import decode
from skinml.images.load import Loaded, Rejected, load_images
from skinml.images.preprocessing import Preprocessing, preprocessing_for
from skinml.schemas import LISTING
from skinml.storage.listing import list_images
from skinml.storage.objects import MAX_OBJECT_BYTES

Put = Callable[[str, bytes], None]
Jpeg = Callable[..., bytes]


def listing_of(place: str) -> pd.DataFrame:
    table = pa.Table.from_batches([piece.images for piece in list_images(place)], LISTING)
    found: pd.DataFrame = table.to_pandas().sort_values("uri", ignore_index=True)
    return found


def test_every_image_has_its_answer_in_order(place: str, put: Put, jpeg: Jpeg) -> None:
    sound = {f"{number}.jpg": jpeg(number) for number in range(6)}
    broken = {"1x.jpg": b"", "2x.jpg": b"<html>", "4x.jpg": sound["4.jpg"][:500]}
    for name, data in (sound | broken).items():
        put(f"{place}/{name}", data)
    listing = listing_of(place)
    answers = list(load_images(listing, Preprocessing(16)))
    assert [answer.etag for answer in answers] == listing["etag"].tolist()
    reasons = {}
    for uri, answer in zip(listing["uri"], answers, strict=True):
        name = uri.rsplit("/", 1)[-1]
        if isinstance(answer, Loaded):
            assert answer.data == sound[name]
            assert answer.sha256 == sha256(sound[name]).hexdigest()
            assert np.array_equal(answer.decoded.pixels, decode(sound[name], 16).pixels)
        else:
            reasons[name] = answer.reason
            assert answer.size_bytes == len(broken[name])
            assert answer.sha256 == sha256(broken[name]).hexdigest()
    assert reasons == {
        "1x.jpg": Reason.EMPTY,
        "2x.jpg": Reason.NOT_AN_IMAGE,
        "4x.jpg": Reason.TRUNCATED,
    }


def test_the_preprocessing_is_followed(place: str, put: Put, jpeg: Jpeg) -> None:
    data = jpeg(1, 900, 700)
    put(f"{place}/a.jpg", data)
    for preprocessing in (Preprocessing(16, "fast"), Preprocessing(24, "exact")):
        [answer] = load_images(listing_of(place), preprocessing)
        assert isinstance(answer, Loaded)
        expected = decode(data, preprocessing.size, preprocessing.decode)
        assert np.array_equal(answer.decoded.pixels, expected.pixels)


def test_an_image_that_changed_has_the_etag_of_the_bytes_that_were_read(
    place: str, put: Put, jpeg: Jpeg
) -> None:
    put(f"{place}/a.jpg", jpeg(1))
    put(f"{place}/b.jpg", jpeg(2))
    listed = listing_of(place)
    put(f"{place}/a.jpg", jpeg(3, 200, 100))
    put(f"{place}/b.jpg", b"<html>")
    now = listing_of(place)
    good, bad = load_images(listed, Preprocessing(16))
    assert isinstance(good, Loaded)
    assert isinstance(bad, Rejected)
    assert good.etag == now["etag"][0] != listed["etag"][0]
    assert (bad.etag, bad.size_bytes) == (now["etag"][1], 6)
    assert bad.etag != listed["etag"][1]
    assert np.array_equal(good.decoded.pixels, decode(jpeg(3, 200, 100), 16).pixels)


def test_what_cannot_be_read_keeps_the_etag_of_the_listing(place: str, put: Put, jpeg: Jpeg) -> None:
    put(f"{place}/a.jpg", jpeg(1))
    listing = listing_of(place)
    gone = pd.concat([listing.assign(uri=listing["uri"].str.replace("a.jpg", "gone.jpg")), listing])
    rejected, loaded = load_images(gone, Preprocessing(16))
    assert isinstance(rejected, Rejected)
    assert isinstance(loaded, Loaded)
    assert rejected.reason == Reason.READ_ERROR
    assert "NotFound" in rejected.detail
    assert (rejected.etag, rejected.sha256) == (listing["etag"][0], None)


def test_what_is_too_large_is_not_read(tmp_path: Path, jpeg: Jpeg) -> None:
    """A sparse file of 65 MiB between two images: answers stay in order."""
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(jpeg(1))
    (tmp_path / "b.jpg").touch()
    os.truncate(tmp_path / "b.jpg", MAX_OBJECT_BYTES + 1)
    answers = list(load_images(listing_of(str(tmp_path)), Preprocessing(16)))
    assert [type(answer) for answer in answers] == [Loaded, Rejected, Loaded]
    assert isinstance(answers[1], Rejected)
    assert answers[1].reason == Reason.TOO_LARGE


def test_nothing_listed_gives_nothing() -> None:
    assert list(load_images(LISTING.empty_table().to_pandas(), Preprocessing(16))) == []


@pytest.mark.parametrize(
    ("preprocessing", "stored_as", "key"),
    [
        (Preprocessing(64), "npy", "64px-fast-bicubic-npy"),
        (preprocessing_for(64, "fast"), "npy", "64px-fast-bicubic-srgb-npy"),
        (preprocessing_for(32, "exact"), "parquet", "32px-exact-bicubic-parquet"),
        (Preprocessing(32, "exact"), "parquet", "32px-exact-bicubic-parquet"),
        (Preprocessing(32, aspect="crop"), "npy", "32px-fast-bicubic-crop-npy"),
        (preprocessing_for(32, "fast", "imagenet", "crop"), "npy", "32px-fast-bicubic-srgb-crop-npy"),
        (preprocessing_for(32, "fast", "imagenet"), "npy", "32px-fast-bicubic-srgb-npy"),
    ],
)
def test_a_dataset_is_named_by_its_preprocessing(
    preprocessing: Preprocessing, stored_as: str, key: str
) -> None:
    assert preprocessing.dataset_key("npy" if stored_as == "npy" else "parquet") == key
    assert Preprocessing(**preprocessing.to_json()) == preprocessing
