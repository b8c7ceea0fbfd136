"""A listing asked for in a thread of its own: pages come while earlier ones, or the ledger, are looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread

from skinml.storage.listing import Listed, list_images

PIECES_AHEAD = 64
"""Pieces of 1,000 objects, some 7 MB: what S3 lists while the ledger of a million known images is made."""

ASK_SECONDS = 0.5
"""How soon a full queue finds out that nobody takes from it any more."""

JOIN_SECONDS = 10.0
"""How long whoever stops early waits for the thread, which may be waiting for storage."""


@contextmanager
def list_ahead(url: str, left_out: Collection[str] = ()) -> Iterator[Iterator[Listed]]:
    """What `list_images` gives and raises, asked for from here on: a page takes S3 20 ms, looking at it 2.

    Leaving the block early ends the thread with its next page.
    """
    waiting: Queue[Listed | BaseException | None] = Queue(PIECES_AHEAD)
    stopped = Event()

    def put(item: Listed | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=ASK_SECONDS)
            except Full:
                continue
            return

    def list_all() -> None:
        try:
            for piece in list_images(url, left_out):
                put(piece)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    def taken() -> Iterator[Listed]:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = Thread(target=list_all, name="list-ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join(JOIN_SECONDS)
