"""Many whole objects in order, read ahead of the one that is used: reads overlap with decoding.

Several objects go to a thread at a time, because handing one over costs more than reading it. Measured on two
cores, with HAM10000 at 600x450 (24 kB an image), an image:

    @@@
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from threading import Event

from skinml.storage.fetch import Read, read_once, read_patiently

THREADS = 16
OBJECTS_AT_ONCE = 8
"""What one thread reads before it hands over."""

OBJECTS_AHEAD = THREADS * OBJECTS_AT_ONCE
BYTES_AHEAD = 128 * 2**20
"""Bounds of what is being read or waits to be taken: two objects of the largest size, or 5,000 of 24 kB."""

UNKNOWN_BYTES = 2**20
"""What an object counts whose size nobody said."""

SLOW_SECONDS = 100e-6
"""A folder for whose objects one waits longer than this each is no page cache."""


@dataclass
class _Chunk:
    """Consecutive objects that one thread reads."""

    uris: list[str] = field(default_factory=list)
    size_bytes: int = 0


def read_many(
    uris: Iterable[str], sizes: Iterable[int] | None = None, objects_ahead: int = OBJECTS_AHEAD
) -> Iterator[Read]:
    """Read whole objects, one answer for each, in order.

    A read that fails is an answer too (`Read.error`), never an exception. What failed in a way that may pass
    is tried again in a thread of its own, two minutes at most (`fetch.read_patiently`), while the objects
    behind it are read as far as the bounds allow.

    Args:
        uris: as `list_images` gives them.
        sizes: bytes of each, as listed, to bound the memory by; 1 MiB each where nobody knows.
        objects_ahead: how many may be under way or waiting to be taken, at least 1; together with BYTES_AHEAD,
            which one object alone may exceed.

    Raises:
        ValueError: there are more or fewer sizes than uris.
    """
    stopped = Event()
    readers = ThreadPoolExecutor(THREADS, thread_name_prefix="read")
    again = ThreadPoolExecutor(objects_ahead, thread_name_prefix="read-again")  # none starts before its work
    ahead: deque[tuple[_Chunk, Future[list[Read | Future[Read]]]]] = deque()
    try:
        wide = False
        for chunk in _chunks(uris, sizes, max(1, min(OBJECTS_AT_ONCE, objects_ahead // 2))):
            wide = wide or not chunk.uris[0].startswith("file://")
            while ahead and not _has_room(chunk, [other for other, _ in ahead], objects_ahead, wide):
                began = time.perf_counter()
                reads = ahead[0][1].result()
                wide = wide or time.perf_counter() - began > SLOW_SECONDS * len(reads)
                yield from _answers(reads)
                ahead.popleft()
            ahead.append((chunk, readers.submit(_read_chunk, chunk.uris, stopped, again)))
        while ahead:
            yield from _answers(ahead[0][1].result())
            ahead.popleft()
    finally:
        stopped.set()
        readers.shutdown(cancel_futures=True)
        again.shutdown(cancel_futures=True)


def _chunks(uris: Iterable[str], sizes: Iterable[int] | None, length: int) -> Iterator[_Chunk]:
    """Cut what is to be read, at most `length` objects and not much more than a thread's share of the bytes."""
    chunk = _Chunk()
    sized = zip(uris, repeat(UNKNOWN_BYTES)) if sizes is None else zip(uris, sizes, strict=True)
    for uri, size_bytes in sized:
        chunk.uris.append(uri)
        chunk.size_bytes += size_bytes
        if len(chunk.uris) == length or chunk.size_bytes >= BYTES_AHEAD // THREADS:
            yield chunk
            chunk = _Chunk()
    if chunk.uris:
        yield chunk


def _has_room(chunk: _Chunk, others: list[_Chunk], objects_ahead: int, wide: bool) -> bool:
    if not wide and len(others) == 2:
        # One chunk is taken while the next one is read: enough where a read waits for nothing, and more threads
        # would only fight over the interpreter's lock (8 us an object with one, 30 us with two or more).
        return False
    objects = len(chunk.uris) + sum(len(other.uris) for other in others)
    size_bytes = chunk.size_bytes + sum(other.size_bytes for other in others)
    return objects <= objects_ahead and size_bytes <= BYTES_AHEAD


def _read_chunk(uris: list[str], stopped: Event, again: ThreadPoolExecutor) -> list[Read | Future[Read]]:
    """One after the other as long as all is well; from the first failure on, each in a thread of its own."""
    answers: list[Read | Future[Read]] = []
    for number, uri in enumerate(uris):
        read = Read(None) if stopped.is_set() else read_once(uri)
        if isinstance(read, Exception):
            answers.append(again.submit(read_patiently, uri, stopped, read))
            answers += [again.submit(read_patiently, other, stopped) for other in uris[number + 1 :]]
            break
        answers.append(read)
    return answers


def _answers(reads: list[Read | Future[Read]]) -> Iterator[Read]:
    for read in reads:
        yield read.result() if isinstance(read, Future) else read
