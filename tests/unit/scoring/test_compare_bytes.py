"""Tests of skinml/scoring/compare_bytes.py: which images are scored, once their bytes are known."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from skinml.images.load import Loaded, Rejected
from skinml.images.preprocessing import Preprocessing
from skinml.schemas import LISTING
from skinml.scoring.compare_bytes import (
    HASH_BYTES,
    JOB,
    Same,
    Standing,
    Verdict,
    compare_etags,
    judge_bytes,
    load_unless_known,
)
from skinml.storage.fetch import MAX_OBJECT_BYTES
from tests.unit.scoring.test_predict import SIZE, listing_of, plain, shard


@pytest.mark.parametrize(
    ("standing", "same_etag", "has_row", "verdict"),
    [
        (Standing.NEW, True, False, Verdict.SCORE),
        (Standing.NEW, True, True, Verdict.REMEMBER),  # touched, or copied without its times
        (Standing.COMPARABLE, True, True, Verdict.SAME),
        (Standing.COMPARABLE, True, False, Verdict.CHANGED),  # replaced, with size and time kept
        (Standing.UNHASHED, True, False, Verdict.REMEMBER),  # the next recheck can compare it
        (Standing.UNHASHED, True, True, Verdict.SAME),
        (Standing.COMPARABLE, False, False, Verdict.SCORE),  # replaced after it was listed
        (Standing.COMPARABLE, False, True, Verdict.REMEMBER),
    ],
)
def test_what_is_done_with_an_image(
    standing: Standing, same_etag: bool, has_row: bool, verdict: Verdict
) -> None:
    assert judge_bytes(standing, same_etag, has_row) is verdict


def job(listing: pa.Table, standing: Standing, *known: bytes, place: int = 0) -> pa.Table:
    """Images of which this is known of each; the known bytes are of the first, the second ... counted model."""
    count = len(listing)
    digests = [sha256(data).digest()[:HASH_BYTES] for data in known]
    columns = {
        "standing": [standing] * count,
        "place": [place] * count,
        "known_sha256": [digests] * count,
        "known_places": [list(range(len(known)))] * count,
    }
    more = [pa.array(values, JOB.field(name).type) for name, values in columns.items()]
    return pa.Table.from_arrays([*listing.columns, *more], schema=JOB)


def test_other_bytes_get_an_etag_of_their_own_and_known_ones_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(plain(1))
    listing = shard(listing_of(str(tmp_path)))
    [etag] = listing["etag"].to_pylist()
    digest = sha256(plain(1)).hexdigest()
    pixels = Preprocessing(SIZE)

    [same] = load_unless_known(job(listing, Standing.COMPARABLE, plain(2), plain(1)), pixels)
    assert same == Same(etag, len(plain(1)), digest, remember=False, rechecked=True, place=1)
    [changed] = load_unless_known(job(listing, Standing.COMPARABLE, plain(2)), pixels)
    assert isinstance(changed, Loaded)
    assert (changed.etag, changed.sha256) == (f"{etag}+sha256:{digest[:16]}", digest)
    [new] = load_unless_known(job(listing, Standing.NEW, plain(2)), pixels)
    assert isinstance(new, Loaded)
    assert new.etag == etag
    [again] = load_unless_known(listing, pixels)
    assert isinstance(again, Loaded)

    path.write_bytes(b"x" * len(plain(1)))
    os.utime(path, ns=(0, int(etag.partition("-")[0], 16)))
    [broken] = load_unless_known(job(listing, Standing.COMPARABLE, plain(2)), pixels)
    assert isinstance(broken, Rejected)
    assert broken.etag == f"{etag}+sha256:{sha256(b'x' * len(plain(1))).hexdigest()[:16]}"
    assert compare_etags([etag, etag, etag], [broken.etag, etag, etag], {1: same}).changed == 1


def test_equal_bytes_are_remembered_for_the_model_that_scored_them(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(plain(1))
    listing = shard(listing_of(str(tmp_path)))
    known = [plain(2), plain(1), plain(1)]  # of three models
    [same] = load_unless_known(job(listing, Standing.NEW, *known), Preprocessing(SIZE))
    assert isinstance(same, Same)
    assert (same.remember, same.place) == (True, 1)
    [same] = load_unless_known(job(listing, Standing.UNHASHED, plain(2), place=3), Preprocessing(SIZE))
    assert isinstance(same, Same)
    assert (same.remember, same.place) == (True, 3)


def test_an_image_under_a_hashed_etag_is_read_by_its_plain_one(tmp_path: Path) -> None:
    """A replay asks for what a recheck put into quarantine."""
    (tmp_path / "a.bmp").write_bytes(plain(1))
    listing = listing_of(str(tmp_path))
    plain_one = listing["etag"][0]
    hashed = shard(listing.assign(etag=f"{plain_one}+sha256:0123456789abcdef"))
    [image] = load_unless_known(hashed, Preprocessing(SIZE))
    assert isinstance(image, Loaded)
    assert image.etag == f"{plain_one}+sha256:{sha256(plain(1)).hexdigest()[:16]}"


def test_what_is_too_large_to_read_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").touch()
    os.truncate(tmp_path / "a.bmp", MAX_OBJECT_BYTES + 1)
    listing = shard(listing_of(str(tmp_path)))
    [first] = load_unless_known(job(listing, Standing.NEW), Preprocessing(SIZE))
    assert isinstance(first, Rejected)
    [second] = load_unless_known(job(listing, Standing.UNHASHED), Preprocessing(SIZE))
    assert isinstance(second, Same)
    assert not second.remember


def test_an_image_that_is_gone_is_a_read_error_of_its_listed_etag(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(plain(1))
    listing = shard(listing_of(str(tmp_path)))
    (tmp_path / "a.bmp").unlink()
    [gone] = load_unless_known(job(listing, Standing.COMPARABLE, plain(1)), Preprocessing(SIZE))
    assert isinstance(gone, Rejected)
    assert (gone.reason, gone.etag) == ("read_error", listing["etag"][0].as_py())


def test_nothing_listed_gives_nothing() -> None:
    assert list(load_unless_known(LISTING.empty_table(), Preprocessing(SIZE))) == []
