"""List an archive in a background thread, while the caller builds the ledger and looks up earlier pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread

from skinml.storage.listing import Listed, list_images

PIECES_AHEAD = 64
"""Size of the queue in pieces of 1,000 objects, some 7 MB: S3 lists about that many while the ledger of a
million known images is built."""

ASK_SECONDS = 0.5
"""How often the thread checks, while the queue is full, whether the caller has stopped."""

JOIN_SECONDS = 10.0
"""How long a caller that stops early waits for the thread, which may be waiting for storage."""


@contextmanager
def list_ahead(url: str, left_out: Collection[str] = ()) -> Iterator[Iterator[Listed]]:
    """Start `list_images` in a background thread; its pieces and errors come from the iterator.

    S3 takes 20 ms for a page, looking it up takes 2 ms. If the caller leaves the block early, the thread ends
    after its next page.
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
