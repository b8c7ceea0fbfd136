"""Storage that fails on purpose: what may pass is tried again, what does not stops nothing else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

from skinml.errors import StorageError
from skinml.storage import connection, retry
from skinml.storage.listing import list_images
from skinml.storage.objects import check_writable, create_bytes, names, read_bytes, read_many, write_bytes
from tests.services.faults import Fault, Proxy, Request, Rule, faulty, first, some
from tests.services.seaweedfs import ObjectStore

Behind = Callable[..., AbstractContextManager[Proxy]]


@pytest.fixture
def behind(opened: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Behind:
    """`behind(rule)`: what our code asks of S3 goes through a faulty proxy, as long as the block lasts."""

    @contextmanager
    def through(rule: Rule, silent_seconds: float = connection.SILENT_SECONDS) -> Iterator[Proxy]:
        with faulty(opened.endpoint, rule) as proxy, monkeypatch.context() as patched:
            patched.setenv("AWS_ENDPOINT_URL", proxy.url)
            patched.setattr(connection, "SILENT_SECONDS", silent_seconds)
            connection.bucket.cache_clear()
            connection.file_system.cache_clear()
            yield proxy
        connection.bucket.cache_clear()
        connection.file_system.cache_clear()

    return through


@pytest.fixture(scope="module")
def filled(object_store: ObjectStore) -> dict[str, bytes]:
    """120 objects, always of the same names, which is what seeds draw by: uri to bytes."""
    object_store.files().mkdir("archive-behind-faults")
    objects = {
        f"s3://archive-behind-faults/a/{number:03}.jpg": number.to_bytes(2) * (500 + number)
        for number in range(120)
    }
    object_store.files().pipe({uri[5:]: data for uri, data in objects.items()})
    return objects


@pytest.fixture
def place_behind(shared_bucket: str) -> str:
    """An empty place in a bucket."""
    return f"s3://{shared_bucket}/{secrets.token_hex(6)}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, in less time."""
    monkeypatch.setattr(retry, "DELAYS", (0.01, 0.01, 0.02, 0.02, 0.04))


# The proxy itself


def test_without_faults_it_is_the_server(behind: Behind, place_behind: str) -> None:
    """Signatures are true, whatever the name and whoever signs: obstore, or s3fs through boto."""
    bucket = place_behind
    with behind(lambda _: None) as proxy:
        assert connection.file_system().endpoint_url == proxy.url
        for name in ("a.jpg", "ein Präfix/100 % + ä#?&=~.jpg"):
            write_bytes(f"{bucket}/{name}", name.encode())
            connection.file_system().pipe_file(f"{bucket[5:]}/s3fs/{name}", name.encode())
            assert read_bytes(f"{bucket}/{name}") == read_bytes(f"{bucket}/s3fs/{name}") == name.encode()
        assert names(bucket) == ["a.jpg", "ein Präfix", "s3fs"]
        assert proxy.faults == {}
        assert {request.method for request, _ in proxy.log} >= {"GET", "PUT"}
    with pytest.raises(httpx.ConnectError):
        httpx.get(proxy.url)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault.ERROR_500, 500),
        (Fault.ERROR_503, 503),
        (Fault.RESET, httpx.ReadError),
        (Fault.LOST, httpx.ReadError),
        (Fault.SILENCE, httpx.ReadTimeout),
        (Fault.CUT, httpx.RemoteProtocolError),
        (Fault.STALL, httpx.ReadTimeout),
    ],
)
def test_each_fault_is_what_it_says(fault: Fault, seen: int | type[Exception], opened: ObjectStore) -> None:
    with faulty(opened.endpoint, first(1, fault, lambda _: True)) as proxy, httpx.Client(timeout=0.3) as client:
        if isinstance(seen, int):
            assert client.get(f"{proxy.url}/x").status_code == seen
        else:
            with pytest.raises(seen):
                client.get(f"{proxy.url}/x")
        assert client.get(f"{proxy.url}/x").status_code == 403, "nobody signed"
        assert proxy.log == [(Request("GET", "/x", "", 0), fault), (Request("GET", "/x", "", 1), None)]
        assert proxy.faults == {fault: 1}


def test_a_seed_says_which_requests_fail() -> None:
    requests = [Request("GET", f"/b/{number}", "", again) for number in range(500) for again in range(2)]
    kinds = [Fault.RESET, Fault.CUT]
    drawn = [some(0.3, kinds, seed=1)(request) for request in requests]
    assert drawn == [some(0.3, kinds, seed=1)(request) for request in requests]
    assert drawn != [some(0.3, kinds, seed=2)(request) for request in requests]
    assert 0.25 < sum(fault is not None for fault in drawn) / len(drawn) < 0.35
    assert {*drawn} == {None, *kinds}
    only_listings = some(1.0, kinds, seed=1, only=lambda request: request.is_listing)
    assert {only_listings(request) for request in requests} == {None}
    always = some(1.0, kinds, seed=1, in_a_row=2)
    assert [always(Request("GET", "/b", "", again)) is None for again in range(6)] == [False, False, True] * 2


# Reading


@pytest.mark.usefixtures("impatient")
def test_every_object_arrives_although_a_third_of_the_requests_fail(
    behind: Behind, filled: dict[str, bytes]
) -> None:
    kinds = [Fault.ERROR_500, Fault.ERROR_503, Fault.RESET, Fault.LOST, Fault.CUT]
    with behind(some(0.3, kinds, seed=3, only=lambda request: request.is_read)) as proxy:
        reads = list(read_many(filled))
    assert [read.error for read in reads] == [None] * len(filled)
    assert [read.data for read in reads] == list(filled.values())
    assert set(proxy.faults) == set(kinds)
    assert proxy.faults.total() > 30
    assert len(proxy.log) == len(filled) + proxy.faults.total(), "each failure cost one more request"


@pytest.mark.usefixtures("impatient")
def test_connections_that_fall_silent_are_given_up(behind: Behind, filled: dict[str, bytes]) -> None:
    """Together: one after the other, the eight objects of a thread would take eight times as long."""
    stalling, silent = [*filled][:8], [*filled][8:16]

    def rule(request: Request) -> Fault | None:
        uri = f"s3:/{request.key}"
        if request.number == 0 and uri in stalling + silent:
            return Fault.STALL if uri in stalling else Fault.SILENCE
        return None

    with behind(rule, silent_seconds=0.8) as proxy:
        started = time.monotonic()
        reads = list(read_many(filled))
        assert time.monotonic() - started < 5
    assert [read.data for read in reads] == list(filled.values())
    assert proxy.faults == {Fault.STALL: 8, Fault.SILENCE: 8}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [Fault.ERROR_503, Fault.CUT, Fault.STALL])
def test_an_object_that_always_fails_is_an_answer_and_all_others_arrive(
    fault: Fault, behind: Behind, filled: dict[str, bytes]
) -> None:
    hopeless = [*filled][10:100:40]
    rule = first(None, fault, lambda request: f"s3:/{request.key}" in hopeless)
    with behind(rule, silent_seconds=0.3) as proxy:
        reads = dict(zip(filled, read_many(filled), strict=True))
    for uri, data in filled.items():
        assert reads[uri].data == (None if uri in hopeless else data)
        assert (reads[uri].error is None) == (uri not in hopeless)
    assert all("\n" not in str(reads[uri].error) for uri in hopeless)
    tries = [sum(f"s3:/{request.key}" == uri for request, _ in proxy.log) for uri in hopeless]
    assert tries == [1 + len(retry.DELAYS)] * len(hopeless)


def test_what_is_missing_or_refused_is_not_asked_for_twice(
    behind: Behind, filled: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with behind(lambda _: None) as proxy:
        [missing] = read_many(["s3://archive-behind-faults/nothing.jpg"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        connection.bucket.cache_clear()
        [refused] = read_many([*filled][:1])
    assert str(missing.error).startswith("FileNotFoundError")
    assert str(refused.error).startswith("PermissionDeniedError")
    assert len(proxy.log) == 2


# Listing


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", Fault)
def test_a_listing_survives(fault: Fault, behind: Behind, filled: dict[str, bytes]) -> None:
    with behind(first(2, fault, lambda request: request.is_listing), silent_seconds=0.3) as proxy:
        pieces = list(list_images("s3://archive-behind-faults/a"))
    assert [uri for piece in pieces for uri in piece.images["uri"].to_pylist()] == [*filled]
    assert proxy.faults == {fault: 2}


@pytest.mark.usefixtures("impatient")
def test_a_long_listing_goes_on_where_it_broke(behind: Behind, bucket: str) -> None:
    """More than one page of S3 (1,000 keys): what was listed before the failure is not asked for again."""
    uris = [f"{bucket}/{number % 7}/{number}.jpg" for number in range(1_010)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write_bytes, uris, [b""] * len(uris)))
    with behind(first(2, Fault.CUT, lambda request: "continuation-token" in request.query)) as proxy:
        listed = [uri for piece in list_images(bucket) for uri in piece.images["uri"].to_pylist()]
    assert sorted(listed) == sorted(uris)
    assert proxy.faults[Fault.CUT] >= 1
    assert sum("start-after" in request.query for request, _ in proxy.log) == 1


@pytest.mark.usefixtures("impatient")
def test_a_listing_that_always_fails_is_a_storage_error(behind: Behind, shared_bucket: str) -> None:
    bucket = f"s3://{shared_bucket}"
    with (
        behind(first(None, Fault.CUT, lambda request: request.is_listing)) as proxy,
        pytest.raises(StorageError, match=f"{bucket}: ") as error,
    ):
        list(list_images(bucket))
    assert "\n" not in str(error.value)
    assert proxy.faults == {Fault.CUT: 1 + len(retry.DELAYS)}


# Writing


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.RESET, Fault.LOST, Fault.SILENCE])
def test_the_first_one_creates_even_where_its_answer_is_lost(
    fault: Fault, behind: Behind, place_behind: str
) -> None:
    with behind(first(1, fault, lambda request: request.method == "PUT"), silent_seconds=0.5) as proxy:
        assert create_bytes(f"{place_behind}/once.json", b"ours")
        assert not create_bytes(f"{place_behind}/once.json", b"theirs")
    assert proxy.faults == {fault: 1}
    assert read_bytes(f"{place_behind}/once.json") == b"ours"


@pytest.mark.usefixtures("impatient")
def test_one_that_came_second_did_not_create_even_where_answers_are_lost(
    behind: Behind, place_behind: str
) -> None:
    write_bytes(f"{place_behind}/once.json", b"theirs")
    with behind(first(2, Fault.LOST, lambda request: request.method == "PUT")) as proxy:
        assert not create_bytes(f"{place_behind}/once.json", b"ours")
    assert proxy.faults == {Fault.LOST: 2}
    assert read_bytes(f"{place_behind}/once.json") == b"theirs"


def test_a_place_is_writable_although_it_stumbles(behind: Behind, place_behind: str) -> None:
    with behind(first(1, Fault.ERROR_503, lambda _: True)) as proxy:
        check_writable(place_behind)
    assert proxy.faults == {Fault.ERROR_503: 4}, "two looks at what is there, a put and a deletion"
    assert len(proxy.log) == 8, "the second look is not needed twice; one put must be refused"
