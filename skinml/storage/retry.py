"""Decide which storage errors are transient, and retry them."""

from __future__ import annotations

import errno
import logging
import random
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    stop_when_event_set,
)

from skinml.storage.connection import http_status, in_words

logger = logging.getLogger("skinml.storage")

Answer = TypeVar("Answer")

DELAYS: tuple[float, ...] = (0.1, 0.5, 2.0, 6.0, 12.0)
"""Seconds before each retry, 20.6 in all: long enough for a server to restart. Each is shortened by up to half
at random, so that readers that failed together do not retry together."""

MAX_SECONDS = 60.0
"""No retry begins later than this many seconds after the first attempt, in case attempts take long to fail."""

NOTICEABLE_SECONDS = 0.9
"""Shorter waits are not logged: the log begins with the third."""

TRANSIENT_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN",
        "EBUSY",  # also s3fs for 503 SlowDown
        "ECONNABORTED",
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EINTR",
        "EIO",  # a network disk whose server went away
        "EMFILE",  # too many files are open just now
        "ENETDOWN",
        "ENETRESET",
        "ENETUNREACH",
        "ENFILE",
        "ENOBUFS",
        "ENOTCONN",
        "EPIPE",
        "EREMOTEIO",  # s3fs for 500
        "ESTALE",  # NFS: the file was replaced on its server
        "ETIMEDOUT",
    )
    if hasattr(errno, name)  # not every system has all of them: macOS has no EREMOTEIO
)
"""Errors of the operating system that are transient: the same file may be readable a moment later."""


def is_transient(error: Exception) -> bool:
    """Whether an error is transient, so that a retry may help.

    Transient are 5xx (except 501), 408, 429, and connections that broke. Not transient are objects that do not
    exist, refused access and wrong names.
    """
    if isinstance(error, OSError):  # obstore's "not found" is one without a number, asyncio's timeout too
        return error.errno in TRANSIENT_ERRNOS or (error.errno is None and isinstance(error, TimeoutError))
    library = type(error).__module__.partition(".")[0]
    if library == "obstore":
        if type(error).__name__ != "GenericError":  # not found, access refused, precondition failed, bad path
            return False
        status = http_status(error)
        return status is None or (status >= 500 and status != 501) or status in {408, 429}
    # s3fs turns answers of S3 into OSErrors, so these are connections that broke.
    return library in {"aiohttp", "botocore", "aiobotocore"}


def waits() -> list[float]:
    """Return the seconds to wait before each retry, with their random part."""
    return [delay * random.uniform(0.5, 1.0) for delay in DELAYS]  # noqa: S311 - no secret


def retrying(
    action: Callable[[], Answer],
    stopped: Event | None = None,
    failure: Exception | None = None,
    what: str | None = None,
) -> Answer:
    """Call `action`, with up to five retries for transient errors, none of them begun after MAX_SECONDS.

    Args:
        action: what to do. It must be safe to repeat.
        stopped: once set, no retry is made.
        failure: the error of the first attempt, if it has been made already.
        what: the URL for the log; without it nothing is logged.

    Raises:
        Exception: the error of the last attempt.
    """
    stopped = stopped or Event()
    last, delays = failure, waits()

    def before_sleep(state: RetryCallState) -> None:
        nonlocal last
        error = state.outcome.exception() if state.outcome else None
        last = error if isinstance(error, Exception) else last
        if what is not None and last is not None:
            log_retry(what, last, state.upcoming_sleep, state.attempt_number + 1, 1 + len(delays))

    def sleep(seconds: float) -> None:
        if stopped.wait(seconds) and last is not None:
            raise last

    for attempt in Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Exception) and is_transient(error)),
        wait=lambda state: (*delays, 0.0)[state.attempt_number - 1],  # asked for after the last try, too
        stop=stop_after_attempt(1 + len(delays))
        | stop_before_delay(MAX_SECONDS)
        | stop_when_event_set(stopped),
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    ):
        with attempt:
            if failure is not None:
                known, failure = failure, None
                raise known
            return action()
    raise AssertionError("tenacity raises if no attempt succeeds")


def log_retry(what: str, error: Exception, seconds: float, number: int, tries: int) -> None:
    """Log a retry, if the wait before it is noticeable."""
    if seconds >= NOTICEABLE_SECONDS:
        words = in_words(error)
        logger.warning("%s: %s; retrying in %.0f s (attempt %d of %d)", what, words, seconds, number, tries)
