"""Tests of skinml/storage/s3fs_fallback.py: what obstore cannot name is listed and read all the same.

SeaweedFS keeps control characters, merges `a//b`, takes `\\` for `/`, and refuses `.`, `..` and NUL.
"""

from __future__ import annotations

import secrets

import pyarrow as pa
import pytest

from skinml.errors import StorageError
from skinml.schemas import LISTING
from skinml.storage import bucket_listing, connection, listing, s3fs_fallback
from skinml.storage.listing import list_images
from skinml.storage.objects import read_many
from tests.services.faults import faulty
from tests.services.seaweedfs import ObjectStore

PLAIN = ["a.jpg", "b/c.jpg", "with space.jpg", "läsion €.jpg", "per%20cent 100%.jpg", "hash#.jpg", "what?.jpg"]
PLAIN += ["plus+and&=.jpg", "🙂.jpg", "la\u0308sion.jpg", "star*[x]{y}^~|<>'\".jpg", "x" * 250 + ".jpg"]
PLAIN += ["/".join(["y" * 200] * 4) + "/" + "z" * 100 + ".jpg"]  # 904 bytes, of 1,024 that a key may have
CONTROL = ["new\nline.jpg", "tab\t.jpg", "cr\r.jpg", "del\x7f.jpg", "fol\nder/x.jpg"]
NO_XML = ["esc\x1b[0m.jpg", "no character \uffff.jpg", "so\x0e/x.jpg"]


@pytest.fixture
def place_in_bucket(shared_bucket: str, opened: ObjectStore) -> str:
    """An empty place in a bucket."""
    return f"s3://{shared_bucket}/odd {secrets.token_hex(6)}"


def put(store: ObjectStore, url: str, names: list[str]) -> dict[str, bytes]:
    name, key = connection.bucket_and_key(url)
    for image in names:
        store.files().call_s3("put_object", Bucket=name, Key=f"{key}/{image}".lstrip("/"), Body=image.encode())
    return {f"{url}/{image}": image.encode() for image in names}


def table(url: str) -> pa.Table:
    pieces = list(list_images(url))
    assert all(piece.images.schema == LISTING for piece in pieces)
    return pa.Table.from_batches([piece.images for piece in pieces], LISTING)


@pytest.mark.parametrize(
    ("odd", "page"),
    [
        pytest.param([], 1_000, id="none"),
        pytest.param(CONTROL, 1_000, id="control"),
        pytest.param(NO_XML, 1_000, id="no XML"),
        pytest.param(NO_XML, 2, id="no XML on a later page"),
        pytest.param(CONTROL + NO_XML, 2, id="all"),
    ],
)
def test_keys_that_obstore_cannot_name_are_listed_and_read_with_all_others(
    odd: list[str], page: int, place_in_bucket: str, opened: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PIECE", page)
    expected = put(opened, place_in_bucket, PLAIN + odd)
    put(opened, place_in_bucket, [".hid\nden/x.jpg" if "new\nline.jpg" in odd else ".hidden/x.jpg", "x.txt"])
    listed = table(place_in_bucket)
    assert sorted(listed["uri"].to_pylist()) == sorted(expected)
    assert sum(piece.ignored for piece in list_images(place_in_bucket)) == 2
    reads = list(read_many(listed["uri"].to_pylist(), listed["size_bytes"].to_pylist()))
    assert [read.error for read in reads] == [None] * len(expected)
    assert [read.data for read in reads] == [expected[uri] for uri in listed["uri"].to_pylist()]
    assert [read.etag for read in reads] == listed["etag"].to_pylist()


def test_both_ways_to_list_say_the_same(place_in_bucket: str, opened: ObjectStore) -> None:
    """The etag too, to the quotes: an odd key that comes or goes must not make an archive new."""
    put(opened, place_in_bucket, PLAIN)
    one = pa.concat_tables(bucket_listing._list_pages(place_in_bucket, None, 1_000))
    other = pa.concat_tables(s3fs_fallback.list_pages(place_in_bucket, None, 1_000))
    assert one.select(other.column_names).cast(other.schema).equals(other)
    assert other["e_tag"][0].as_py().startswith('"')


def test_a_listing_goes_on_behind_any_key(place_in_bucket: str, opened: ObjectStore) -> None:
    images = [
        "a/b.jpg",
        "a.jpg",
        "a-b/c.jpg",
        "n\n.jpg",
        "x\x1b",
        "x ",
        "x~",
        "y\ufffe",
        "y\uffff",
        "z/1.jpg",
        "z.jpg",
    ]
    put(opened, place_in_bucket, images)
    keys = pa.concat_tables(s3fs_fallback.list_pages(place_in_bucket, None, 1_000))["path"].to_pylist()
    assert len(keys) == len(images)
    for number, key in enumerate(keys[:-1]):
        rest = list(s3fs_fallback.list_pages(place_in_bucket, key, 2))
        assert [page.num_rows for page in rest[:-1]] == [2] * (len(rest) - 1), "one page after the other"
        assert pa.concat_tables(rest)["path"].to_pylist() == keys[number + 1 :]


def test_a_prefix_that_obstore_cannot_name_is_an_archive(place_in_bucket: str, opened: ObjectStore) -> None:
    expected = put(opened, f"{place_in_bucket}/new\nline", PLAIN[:3])
    put(opened, place_in_bucket, ["new\nline2/x.jpg"])
    assert sorted(table(f"{place_in_bucket}/new\nline")["uri"].to_pylist()) == sorted(expected)


def test_a_missing_odd_key_is_an_answer(place_in_bucket: str) -> None:
    [read] = read_many([f"{place_in_bucket}/new\nline.jpg"])
    assert str(read.error).startswith("FileNotFoundError")


def test_no_more_is_read_than_asked_for(place_in_bucket: str, opened: ObjectStore) -> None:
    put(opened, place_in_bucket, ["new\nline.jpg"])
    data, etag = s3fs_fallback.get(f"{place_in_bucket}/new\nline.jpg", 3)
    assert data == b"new"
    assert etag == table(place_in_bucket)["etag"][0].as_py()


@pytest.mark.parametrize("key", ["a//b.jpg", "/a.jpg", "/a//b.jpg", "a/../b.jpg", "n\n.jpg"])
def test_an_object_is_asked_for_by_its_very_key(
    key: str, shared_bucket: str, opened: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked, since SeaweedFS has no such key to answer with; S3 has."""
    with faulty(opened.endpoint, lambda _: None) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        [read] = read_many([f"s3://{shared_bucket}/{key}"])
    assert read.error is not None
    assert {request.key for request, _ in proxy.log} == {f"/{shared_bucket}/{key}"}


def test_a_listing_that_s3fs_cannot_do_is_a_storage_error(opened: ObjectStore) -> None:
    with pytest.raises(StorageError, match="not found") as error:
        list(list_images("s3://bucket-that-is-not-there/new\nline"))
    assert str(error.value).endswith("not found")
