"""Tests of skinml/storage/retry.py."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, InvalidPathError, PermissionDeniedError

from skinml.storage import connection, retry
from skinml.storage.retry import DELAYS, is_transient, retrying, waits


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, os.strerror(errno.EIO)),
        OSError(errno.ESTALE, os.strerror(errno.ESTALE)),
        OSError(errno.EBUSY, "Please reduce your request rate."),  # s3fs: 503 SlowDown
        ConnectionResetError(errno.ECONNRESET, "reset"),
        TimeoutError(),
        GenericError("Generic S3 error: Error performing GET - Server returned non-2xx status code: 500 x"),
        GenericError("Generic S3 error: Error performing GET - Server returned non-2xx status code: 429 x"),
        GenericError("Generic S3 error: HTTP error: request or response body error"),
    ],
    ids=str,
)
def test_what_may_pass(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "not there"),
        FileNotFoundError("Object at location x not found"),  # obstore's
        PermissionError(errno.EACCES, "Access Denied."),
        IsADirectoryError(errno.EISDIR, "Is a directory"),
        OSError(errno.ELOOP, "Too many levels of symbolic links"),
        OSError(errno.ENOSPC, "No space left on device"),
        GenericError("Generic S3 error: Error performing GET - Server returned non-2xx status code: 400 500"),
        PermissionDeniedError("status code: 500"),
        AlreadyExistsError("x"),
        InvalidPathError("x"),
        GenericError("Generic S3 error: Server returned non-2xx status code: 501 Not Implemented"),
        ValueError("Could not parse path"),
        MemoryError(),
    ],
    ids=str,
)
def test_what_does_not_pass(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.usefixtures("opened")
def test_a_server_that_is_not_there_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(GenericError) as error:
        obstore.get(connection.bucket("x", retries=0), "y")
    assert is_transient(error.value)


class Failing:
    """What fails in a way that may pass, a number of times."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.times = times
        self.error = error or OSError(errno.EIO, "EIO")
        self.tries = 0

    def __call__(self) -> str:
        self.tries += 1
        if self.tries <= self.times:
            raise self.error
        return "done"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELAYS", (0.0,) * len(DELAYS))


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("times", range(len(DELAYS) + 1))
def test_it_is_done_in_the_end(times: int) -> None:
    action = Failing(times)
    assert retrying(action) == "done"
    assert action.tries == times + 1


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("tried_before", [False, True])
def test_patience_ends(tried_before: bool) -> None:
    action = Failing(99)
    with pytest.raises(OSError, match="EIO"):
        retrying(action, failure=OSError(errno.EIO, "EIO") if tried_before else None)
    assert action.tries + tried_before == 1 + len(DELAYS)


@pytest.mark.parametrize("tried_before", [False, True])
def test_what_does_not_pass_is_not_tried_again(tried_before: bool) -> None:
    action = Failing(99, FileNotFoundError(errno.ENOENT, "not there"))
    with pytest.raises(FileNotFoundError):
        retrying(action, failure=action.error if tried_before else None)
    assert action.tries == (0 if tried_before else 1)


def test_no_try_begins_when_patience_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELAYS", (0.0, 50.0))
    monkeypatch.setattr(retry, "MAX_SECONDS", 20.0)
    action = Failing(99)
    started = time.monotonic()
    with pytest.raises(OSError, match="EIO"):
        retrying(action)
    assert action.tries == 2
    assert time.monotonic() - started < 5


def test_nobody_waits_for_an_answer_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELAYS", (50.0,))
    stopped, action = threading.Event(), Failing(99)
    stopped.set()
    started = time.monotonic()
    with pytest.raises(OSError, match="EIO"):
        retrying(action, stopped)
    assert action.tries == 1
    assert time.monotonic() - started < 5


def test_whoever_stops_while_it_waits_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The try that would follow the wait is left out, however long it might take."""
    monkeypatch.setattr(retry, "DELAYS", (50.0,))
    stopped = threading.Event()

    class Stopping(Failing):
        def __call__(self) -> str:
            threading.Timer(0.05, stopped.set).start()
            return super().__call__()

    action = Stopping(99)
    started = time.monotonic()
    with pytest.raises(OSError, match="EIO"):
        retrying(action, stopped)
    assert action.tries == 1
    assert time.monotonic() - started < 5


def test_a_long_wait_is_said_and_a_short_one_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "DELAYS", (0.0, 0.04, 0.02))
    monkeypatch.setattr(retry, "NOTICEABLE_SECONDS", 0.02)
    with pytest.raises(OSError, match="http"):
        retrying(Failing(99, OSError(errno.EIO, "http://user:hidden@host fell silent")), what="s3://b/k")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "s3://b/k: http://***@host fell silent; retrying in 0 s (attempt 3 of 4)")
    ]


def test_of_many_objects_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "DELAYS", (0.01,))
    monkeypatch.setattr(retry, "NOTICEABLE_SECONDS", 0.0)
    with pytest.raises(OSError, match="EIO"):
        retrying(Failing(99))
    assert caplog.records == []


def test_it_works_where_an_error_number_is_missing() -> None:
    """macOS has no EREMOTEIO."""
    asked = "print(len(retry.TRANSIENT_ERRNOS))"
    code = f"import errno; del errno.EREMOTEIO; from skinml.storage import retry; {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(retry.TRANSIENT_ERRNOS) - 1


def test_readers_that_failed_together_come_back_apart() -> None:
    assert waits() != waits()
    assert all(delay / 2 <= wait <= delay for delay, wait in zip(DELAYS, waits(), strict=True))
    assert sum(DELAYS) < 21
