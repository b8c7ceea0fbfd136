"""Which failures of storage may pass by themselves, and for how long they are waited out."""

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
"""Seconds before each further try, 20.6 in all: a server that restarts is back, a broken object is not.
Up to half of each is left out at random, so that readers that failed together do not come back together."""

MAX_SECONDS = 60.0
"""Seconds after the first try after which no further one begins, for tries that take long to fail."""

NOTICEABLE_SECONDS = 0.9
"""A wait from the third on is logged, unless many objects are waited for at once."""

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
"""Errors of the operating system after which the same file may be readable in a moment."""


def is_transient(error: Exception) -> bool:
    """Whether trying again may help: not where something is missing, refused or named wrongly.

    Everything a server could not do (5xx), could not do now (408, 429) or did not finish saying is worth a try.
    """
    if isinstance(error, OSError):  # obstore's "not found" is one without a number, asyncio's timeout too
        return error.errno in TRANSIENT_ERRNOS or (error.errno is None and isinstance(error, TimeoutError))
    library = type(error).__module__.partition(".")[0]
    if library == "obstore":
        if type(error).__name__ != "GenericError":  # not found, refused, precondition, path: answers
            return False
        status = http_status(error)
        return status is None or (status >= 500 and status != 501) or status in {408, 429}
    # s3fs has made OSErrors of what S3 answered; what is left is a connection that broke.
    return library in {"aiohttp", "botocore", "aiobotocore"}


def waits() -> list[float]:
    """Seconds to wait before each further try."""
    return [delay * random.uniform(0.5, 1.0) for delay in DELAYS]  # noqa: S311 - no secret


def retrying(
    action: Callable[[], Answer],
    stopped: Event | None = None,
    failure: Exception | None = None,
    what: str | None = None,
) -> Answer:
    """Do it, and again while its failure may pass: six tries in all, none begun after MAX_SECONDS seconds.

    Args:
        action: what to do; to do it twice must be harmless.
        stopped: when set, nobody waits for the answer any more, and there is no further try.
        failure: that of the first try, where there was one already.
        what: the URL, to say in the log what is tried again; nothing is logged without it.

    Raises:
        Exception: the failure of the last try.
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
    raise AssertionError("tenacity raises where no try succeeds")


def log_retry(what: str, error: Exception, seconds: float, number: int, tries: int) -> None:
    """Log that something is tried again, where the wait is long enough for anybody to notice."""
    if seconds >= NOTICEABLE_SECONDS:
        words = in_words(error)
        logger.warning("%s: %s; tried again in %.0f s (try %d of %d)", what, words, seconds, number, tries)
