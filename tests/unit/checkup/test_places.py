"""Tests of skinml/checkup/places.py, on a folder and on a bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from skinml.checkup import places
from skinml.errors import SkinmlError
from skinml.storage.objects import exists, names, write_bytes
from skinml.storage.urls import is_remote


def test_a_workspace_is_written_to_and_left_as_it_was(place: str) -> None:
    write_bytes(f"{place}/runs/row", b"something has run")
    found = places.check_workspace_access(place)
    assert found.state == "ok", found
    assert ("conditional puts work" in found.detail) == is_remote(place)
    if not is_remote(place):  # SeaweedFS still lists the prefix of an object that was deleted
        assert names(place) == ["runs"]
    assert not any(exists(f"{place}/{name}/doctor") for name in names(place))


def test_a_workspace_in_which_nothing_has_run_is_said(place: str) -> None:
    """Such as the mount point of a disk that is not mounted."""
    found = places.check_workspace_access(place)
    assert (found.state, "nothing has run there yet" in found.detail) == ("warning", True)
    if not is_remote(place):
        assert not exists(place) or names(place) == []


def test_a_workspace_without_the_right_key_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong" * 8)
    with pytest.raises(SkinmlError, match="access refused"):
        places.check_workspace_access(f"{bucket}/workspace")


def test_the_first_image_of_an_archive_is_read(
    place: str, put: Callable[[str, bytes], None], jpeg: Callable[..., bytes]
) -> None:
    put(f"{place}/notes.txt", b"no image")
    assert places.check_archive_access(None, place).state == "warning"
    put(f"{place}/a.jpg", jpeg())
    assert places.check_archive_access(None, place).state == "ok"


@pytest.mark.parametrize(
    ("behind", "state"),
    [
        (timedelta(0), "ok"),
        (timedelta(minutes=2), "warning"),
        (timedelta(minutes=-12), "failed"),
        (timedelta(days=400), "failed"),
    ],
)
def test_the_clock_is_compared_with_the_date_of_an_answer(behind: timedelta, state: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", format_datetime(datetime.now(UTC) - behind, usegmt=True))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found = places.check_clock(["http://127.0.0.1:9/", f"http://127.0.0.1:{server.server_address[1]}"])
        server.shutdown()
    assert found.state == state, found


def test_without_a_server_no_clock_is_compared() -> None:
    assert places.check_clock([]).state == "ok"
    assert places.bucket_server("/folder") == []
