"""A proxy between us and S3: all three libraries take it or leave it alike, and an error names it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from skinml.errors import RequestError, SkinmlError, StorageError
from skinml.storage import connection, retry
from skinml.storage.listing import list_images
from skinml.storage.objects import check_writable, names
from skinml.tables.connection import open_table
from tests.services.seaweedfs import ObjectStore
from tests.services.test_s3_settings import LIBRARIES

FAR = "http://s3.example.invalid:8333"
"""An endpoint that only a proxy could reach; no name is looked up where one stands before it."""


class _Page(ThreadingHTTPServer):
    """What answers every request with the same page, as a gateway does that wants a login first."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where it is, with a password that must not be shown."""
        return f"http://somebody:not-to-be-shown@127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Page

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")
        page = b"<html><body>Please log in</body></html>"
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the names of http.server

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[_Page]:
    """A server of pages, with status 200 or the one that the test names."""
    with _Page(getattr(request, "param", 200)) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELAYS", (0.01,) * 5)


@pytest.mark.parametrize("use", LIBRARIES)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_all_three_libraries_go_through_it(
    name: str, use: Callable[[str], None], page: _Page, opened: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, page.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", FAR)
    with suppress(Exception):  # a page is no answer, each says so in its own way
        use("s3://a-bucket/w")
    assert page.asked
    assert all(FAR in asked for asked in page.asked)


@pytest.mark.parametrize("excepted", ["127.0.0.1", "127.0.0.0/8", "*", "{host}"])
@pytest.mark.parametrize("use", LIBRARIES)
def test_all_three_libraries_leave_it_where_no_proxy_says_so(
    use: Callable[[str], None],
    excepted: str,
    page: _Page,
    opened: ObjectStore,
    shared_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", page.url)
    monkeypatch.setenv("NO_PROXY", excepted.replace("{host}", opened.endpoint.removeprefix("http://")))
    use(f"s3://{shared_bucket}/{secrets.token_hex(6)}")
    assert page.asked == []


def ask_all(place: str) -> Iterator[Callable[[], object]]:
    """Ways in which S3 is asked first."""
    yield lambda: names(place)
    yield lambda: check_writable(place)
    yield lambda: list(list_images(place))


@pytest.mark.parametrize("page", [200, 403, 407, 502], indirect=True)
def test_its_page_is_no_empty_bucket_and_the_proxy_is_named(
    page: _Page, opened: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", page.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", FAR)
    asks = list(ask_all("s3://a-bucket/w"))
    if (
        page.status != 200
    ):  # delta-rs takes that for an empty bucket; what opens a workspace has refused it before
        asks.append(lambda: open_table("s3://a-bucket/w", "runs"))
    for ask in asks:
        with pytest.raises(SkinmlError) as error:
            ask()
        text = str(error.value)
        assert isinstance(error.value, RequestError) or page.status in {407, 502}
        assert f"proxy 127.0.0.1:{page.server_address[1]} (http_proxy)" in text
        assert "add s3.example.invalid to NO_PROXY" in text
        assert "not-to-be-shown" not in text
        assert "\n" not in text


def test_a_proxy_that_is_down_is_named(opened: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://somebody:not-to-be-shown@127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", FAR)
    asks: list[Callable[[], object]] = [
        *ask_all("s3://a-bucket/w"),
        lambda: open_table("s3://a-bucket/w", "runs"),
    ]
    for ask in asks:
        with pytest.raises(StorageError, match=r"proxy 127\.0\.0\.1:9 \(HTTP_PROXY\).*NO_PROXY") as error:
            ask()
        assert "not-to-be-shown" not in f"{error.value} {error.value.__cause__}"
    with (
        pytest.raises(StorageError, match=r"proxy 127\.0\.0\.1:9 \(HTTP_PROXY\).*NO_PROXY"),
        connection.explained("s3://a-bucket/w"),
    ):
        connection.file_system().ls("a-bucket")


@pytest.mark.parametrize("page", [200, 404], indirect=True)
def test_an_endpoint_that_is_not_s3_is_no_empty_bucket(
    page: _Page, opened: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web server at a mistyped port: `score` would otherwise find nothing to do and say that all is well."""
    endpoint = f"http://127.0.0.1:{page.server_address[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    for ask in ask_all("s3://a-bucket/w"):
        with pytest.raises(RequestError) as refusal:
            ask()
        assert str(refusal.value) == (
            f"s3://a-bucket/w: {endpoint} (from AWS_ENDPOINT_URL) is not an S3 server; correct the endpoint"
        )
