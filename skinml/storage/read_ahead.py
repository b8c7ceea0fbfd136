"""Many whole objects in order, read ahead of the one that is used: reads overlap with decoding.

A folder in the page cache is read as it is used, without threads: a read takes 5 us, and the system may already
have read ahead. As soon as most reads of a handful take longer, and on a bucket always, threads read ahead, a
handful of objects each. Measured with HAM10000 at 600x450 (24 kB an image) on two cores, which the S3 server
(SeaweedFS) shared, an image, in bare loops where it does not say `read_many`:

    folder  as it is used, `read_many`                 9 us
            one thread, 8 or 16 files at a time        10 or 8 us, but 21 or 16 us more beside decoding
            2 to 8 threads, 8 to 32 files at a time    23 to 37 us: they fight over the interpreter's lock
            32 threads, a future for each file         70 us
    bucket  16 threads, 8 objects at a time            72 us of this process's time, 2,811 objects/s
            the same, `read_many`, on busier cores     94 to 140 us, 2,320 to 2,790 objects/s
            8 threads, 8 objects at a time             86 us, 2,712 objects/s
            16 or 32 threads, a future for each        91 or 87 us, 2,965 or 3,102 objects/s
            obstore's async calls, 32 at a time        117 us, 2,790 objects/s; 8 at a time 185 us
            s3fs, cat of all                           2,022 us, 493 objects/s
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from threading import Event
from typing import TypeAlias

from skinml.storage.fetch import Read, read_once, read_retrying
from skinml.storage.urls import normalise

_Answer: TypeAlias = "Read | Future[Read]"

THREADS = 16
OBJECTS_AT_ONCE = 8
"""What one thread reads before it hands over."""

OBJECTS_AHEAD = THREADS * OBJECTS_AT_ONCE
BYTES_AHEAD = 128 * 2**20
"""Bounds of what is being read or waits to be taken: two objects of the largest size, or 5,000 of 24 kB."""

UNKNOWN_BYTES = 2**20
"""What an object counts whose size nobody said."""

SLOW_SECONDS = 100e-6
"""Where most files of a handful take longer than this they come from a disk. Most, because any one read may
have to wait while something else has the core."""


@dataclass
class _Chunk:
    """Consecutive objects that one thread reads."""

    uris: list[str] = field(default_factory=list)
    size_bytes: int = 0


def read_many(
    uris: Iterable[str],
    sizes: Iterable[int] | None = None,
    objects_ahead: int = OBJECTS_AHEAD,
    roots: Collection[str] | None = None,
) -> Generator[Read, None, None]:
    """Read whole objects, one answer for each, in order.

    A read that fails is an answer too (`Read.error`), never an exception. What failed in a way that may pass
    is tried again in a thread of its own, three minutes at most (`fetch.read_retrying`), while the objects
    behind it are read as far as the bounds allow.

    Args:
        uris: as `list_images` gives them.
        sizes: bytes of each, as listed, to bound the memory by; 1 MiB each where nobody knows.
        objects_ahead: how many may be under way or waiting to be taken, at least 1; together with BYTES_AHEAD,
            which one object alone may exceed.
        roots: archives that no file may lie outside of when it is read; see `fetch.read_retrying`.

    Raises:
        ValueError: there are more or fewer sizes than uris.
    """
    stopped = Event()
    # As this machine resolves them: a worker's mounts may be links where the driver's are none.
    roots = None if roots is None else tuple(map(normalise, roots))
    # Threads start when there is work for them: a fast folder needs none of either.
    readers = ThreadPoolExecutor(THREADS, thread_name_prefix="read")
    again = ThreadPoolExecutor(objects_ahead, thread_name_prefix="read-again")
    ahead: deque[tuple[_Chunk, Future[tuple[list[_Answer], list[float]]]]] = deque()
    try:
        fast = True
        for chunk in _chunks(uris, sizes, max(1, min(OBJECTS_AT_ONCE, objects_ahead // 2))):
            fast = fast and chunk.uris[0].startswith("file://")
            if fast:
                reads, seconds = _read_chunk(chunk.uris, stopped, again, roots)
                fast = sorted(seconds)[len(seconds) // 2] < SLOW_SECONDS
                yield from _taken(reads)
                continue
            while ahead and not _has_room(chunk, [other for other, _ in ahead], objects_ahead):
                yield from _taken(ahead[0][1].result()[0])
                ahead.popleft()
            ahead.append((chunk, readers.submit(_read_chunk, chunk.uris, stopped, again, roots)))
        while ahead:
            yield from _taken(ahead[0][1].result()[0])
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


def _has_room(chunk: _Chunk, others: list[_Chunk], objects_ahead: int) -> bool:
    objects = len(chunk.uris) + sum(len(other.uris) for other in others)
    size_bytes = chunk.size_bytes + sum(other.size_bytes for other in others)
    return objects <= objects_ahead and size_bytes <= BYTES_AHEAD


def _read_chunk(
    uris: list[str], stopped: Event, again: ThreadPoolExecutor, roots: Collection[str] | None
) -> tuple[list[_Answer], list[float]]:
    """One after the other as long as all is well; from the first failure on, each in a thread of its own.

    Returns:
        The answers or who will give them, and how many seconds each took that was read here.
    """
    answers: list[_Answer] = []
    seconds = []
    for number, uri in enumerate(uris):
        began = time.perf_counter()
        read = Read(None) if stopped.is_set() else read_once(uri, roots)
        seconds.append(time.perf_counter() - began)
        if isinstance(read, Exception):
            answers.append(again.submit(read_retrying, uri, stopped, read, roots))
            answers += [
                again.submit(read_retrying, other, stopped, None, roots) for other in uris[number + 1 :]
            ]
            break
        answers.append(read)
    return answers, seconds


def _taken(answers: list[_Answer]) -> Iterator[Read]:
    for answer in answers:
        yield answer.result() if isinstance(answer, Future) else answer
