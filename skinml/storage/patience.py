"""Which failures of storage may pass by themselves, and for how long they are waited out."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from skinml.storage.connection import http_status

Answer = TypeVar("Answer")

DELAYS: tuple[float, ...] = (0.1, 0.5, 2.0, 6.0, 12.0)
"""Seconds before each further try, 20.6 in all: a server that restarts is back, a broken object is not.
Up to half of each is left out at random, so that readers that failed together do not come back together."""

PATIENCE = 60.0
"""Seconds after the first try after which no further one begins, for tries that take long to fail."""

PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,  # also s3fs for 503 SlowDown
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,  # a network disk whose server went away
        errno.EMFILE,  # too many files are open just now
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.EREMOTEIO,  # s3fs for 500
        errno.ESTALE,  # NFS: the file was replaced on its server
        errno.ETIMEDOUT,
    }
)
"""Errors of the operating system after which the same file may be readable in a moment."""


def may_pass(error: Exception) -> bool:
    """Whether trying again may help: not where something is missing, refused or named wrongly.

    Everything a server could not do (5xx), could not do now (408, 429) or did not finish saying is worth a try.
    """
    if isinstance(error, OSError):  # obstore's "not found" is one without a number, asyncio's timeout too
        return error.errno in PASSING or (error.errno is None and isinstance(error, TimeoutError))
    library = type(error).__module__.partition(".")[0]
    if library == "obstore":
        if type(error).__name__ != "GenericError":  # not found, refused, precondition, path: answers
            return False
        status = http_status(error)
        return status is None or status >= 500 or status in {408, 429}
    # s3fs has made OSErrors of what S3 answered; what is left is a connection that broke.
    return library in {"aiohttp", "botocore", "aiobotocore"}


def waits() -> list[float]:
    """Seconds to wait before each further try."""
    return [delay * random.uniform(0.5, 1.0) for delay in DELAYS]  # noqa: S311 - no secret


def patiently(
    action: Callable[[], Answer], stopped: Event | None = None, failure: Exception | None = None
) -> Answer:
    """Do it, and again while its failure may pass: six tries in all, none begun after PATIENCE seconds.

    Args:
        action: what to do; to do it twice must be harmless.
        stopped: when set, nobody waits for the answer any more, and there is no further try.
        failure: that of the first try, where there was one already.

    Raises:
        Exception: the failure of the last try.
    """
    began = time.monotonic()
    for delay in waits():
        if failure is None:
            try:
                return action()
            except Exception as error:
                failure = error
        if not may_pass(failure) or time.monotonic() - began + delay > PATIENCE or _wait(delay, stopped):
            raise failure
        failure = None
    return action()


def _wait(seconds: float, stopped: Event | None) -> bool:
    """Wait, but no longer than somebody wants the answer. True when nobody does."""
    if stopped is not None:
        return stopped.wait(seconds)
    time.sleep(seconds)
    return False
