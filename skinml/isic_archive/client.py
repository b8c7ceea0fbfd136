"""Ask the archive politely: few connections, our name, growing waits, and every answer checked for its size."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from skinml import __version__
from skinml.errors import RunError
from skinml.isic_archive.address import may_ask, redirected

logger = logging.getLogger("skinml.fetch")

USER_AGENT = f"skinml/{__version__} (skinml fetch)"

DELAYS = (1.0, 3.0, 8.0, 20.0, 45.0)
"""Seconds before each retry, each shortened by up to half at random. The archive's own client waits as long."""

MOST_WAIT = 300.0
"""The longest Retry-After that is waited for, in s. With a longer one the run ends, and can be continued."""

MOST_REDIRECTS = 3
MOST_JSON = 32 * 2**20
"""Bytes of a page of 100 images; the real ones have 0.2 MB."""

TIMEOUT = httpx.Timeout(15.0, connect=10.0)
"""Seconds without a byte, and for a connection. A run that is ended waits as long for what it has asked."""

Answer = TypeVar("Answer")

Pause = Callable[[float], object]


class Refused(Exception):  # noqa: N818 - an outcome of one file
    """The archive does not give a file, and a retry cannot help."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class _Again(Exception):  # noqa: N818 - a reason to try again
    """An answer that a retry may mend, and how many seconds the server asks to wait."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Client:
    """A connection to the archive. It keeps connections open: a class.

    Args:
        base: the interface, from `address.check_base`.
        connections: at most so many at a time.
        pause: waits so many seconds; the default ends early once `stopped` is set.
    """

    def __init__(self, base: str, connections: int, pause: Pause | None = None) -> None:
        self.base = base
        self.stopped = Event()
        self._pause: Pause = pause or self.stopped.wait
        self._http = httpx.Client(
            headers={"User-Agent": USER_AGENT},
            timeout=TIMEOUT,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=connections + 1, max_keepalive_connections=connections + 1),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.close()

    def read_json(self, url: str) -> Any:
        """Read an answer of the interface.

        Raises:
            Refused: it is not there, or refuses.
            RunError: it does not answer well after all retries.
        """

        def ask() -> Any:
            data = self._read(url, None, MOST_JSON)
            try:
                return json.loads(data)
            except ValueError as error:
                raise _Again("answers with something else than JSON") from error

        return self._retrying(url, ask)

    def read_file(self, url: str, size_bytes: int | None, most: int) -> bytes:
        """Read a file and check its size.

        Args:
            url: as the archive gave it.
            size_bytes: what the archive says; None if it does not say.
            most: the largest size that is read, in bytes.

        Raises:
            Refused: it is not there, leads elsewhere or is too large.
            RunError: it does not come whole after all retries.
        """
        if not may_ask(self.base, url):
            raise Refused(f"is at {shown(url)}, which is not asked: it is not https, or is on this machine")
        if size_bytes is not None and size_bytes > most:
            raise Refused(f"has {size_bytes:,} bytes, the limit is {most:,}")
        return self._retrying(url, lambda: self._read(url, size_bytes, most))

    def _read(self, url: str, size_bytes: int | None, most: int) -> bytes:
        """Ask once, following redirects on the same host."""
        place = url
        for _ in range(MOST_REDIRECTS + 1):
            with self._http.stream("GET", place, headers={"Accept-Encoding": "identity"}) as answer:
                if not answer.has_redirect_location:
                    return _body(answer, size_bytes, most)
                target = redirected(self.base, place, answer.headers["location"])
            if target is None:
                where = shown(answer.headers["location"])
                raise Refused(f"redirects to {where}, another host, which is not asked")
            place = target
        raise Refused(f"redirects more than {MOST_REDIRECTS} times")

    def _retrying(self, url: str, ask: Callable[[], Answer]) -> Answer:
        last = ""
        for number, delay in enumerate((*DELAYS, None)):
            try:
                return ask()
            except _Again as again:
                last, wait = str(again), again.wait
            except httpx.TransportError as error:
                last, wait = f"{type(error).__name__}: {error}".rstrip(": "), 0.0
            if delay is None or self.stopped.is_set():
                break
            if wait > MOST_WAIT:
                raise RunError(
                    f"{shown(url)}: {last}, and asks to come again in {wait:,.0f} s; run the same command then"
                )
            seconds = max(wait, delay * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            logger.info(
                "%s: %s; trying again in %.0f s (%d of %d)",
                shown(url),
                last,
                seconds,
                number + 2,
                len(DELAYS) + 1,
            )
            self._pause(seconds)
        raise RunError(
            f"{shown(url)}: {last}, also after {len(DELAYS)} retries; run the same command again later"
        )


def _body(answer: httpx.Response, size_bytes: int | None, most: int) -> bytes:
    status = answer.status_code
    if status in (408, 425, 429) or (status >= 500 and status != 501):
        raise _Again(f"answers {status}", _retry_after(answer.headers.get("retry-after")))
    if status != 200:
        raise Refused(f"answers {status}", status)
    limit = most if size_bytes is None else size_bytes
    data = bytearray()
    for piece in answer.iter_raw():
        data += piece
        if len(data) > limit:
            break
    if size_bytes is None and len(data) > most:
        raise Refused(f"has more than {most:,} bytes")
    if size_bytes is not None and len(data) != size_bytes:
        got = "more" if len(data) > size_bytes else f"{len(data):,}"
        raise _Again(f"gives {got} bytes, the archive says {size_bytes:,}")
    return bytes(data)


def _retry_after(text: str | None) -> float:
    """Seconds of a Retry-After header, given as such or as a date; 0 if it has none (RFC 9110, 10.2.3)."""
    if not text:
        return 0.0
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def shown(url: str) -> str:
    """An address for a message: without its query, which may hold a signature."""
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if parts.scheme
        else url.partition("?")[0]
    )
