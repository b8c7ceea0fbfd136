"""Read many objects in order and ahead of their use, so that reading overlaps with decoding.

Files in the page cache are read when they are needed, without threads: one read takes 5 us, and the operating
system reads ahead too. Once most reads of a chunk take longer, and always in a bucket, threads read ahead, one
chunk of objects each. Measured per image with HAM10000 at 600x450 (24 kB an image) on two cores, shared with
the S3 server (SeaweedFS); bare loops, except where it says `read_many`:

    folder  when needed, `read_many`                   9 us
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
"""Objects in a chunk, which one thread reads."""

OBJECTS_AHEAD = THREADS * OBJECTS_AT_ONCE
BYTES_AHEAD = 128 * 2**20
"""Bounds of what is being read or waits to be used: two objects of the largest size, or 5,000 of 24 kB."""

UNKNOWN_BYTES = 2**20
"""The size that an object counts with if its size is not known."""

SLOW_SECONDS = 100e-6
"""If most files of a chunk take longer than this, they come from a disk. Most, because any single read may wait
for the core."""


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
    """Read whole objects and yield one result for each, in order.

    A read that fails yields a result with `Read.error` set, never an exception. Transient errors are retried in
    a thread of their own, for three minutes at most (`fetch.read_retrying`), while the following objects are
    read as far as the bounds allow.

    Args:
        uris: as `list_images` yields them.
        sizes: the listed size of each in bytes, to bound the memory; None counts 1 MiB each.
        objects_ahead: how many objects may be in memory or being read, at least 1. BYTES_AHEAD bounds them too,
            except that one object alone may exceed it.
        roots: archives that a file must lie in when it is read; see `fetch.read_retrying`.

    Raises:
        ValueError: the numbers of sizes and uris differ.
    """
    stopped = Event()
    # Resolved on this machine: a path may be a link on a worker and a plain folder on the driver.
    roots = None if roots is None else tuple(map(normalise, roots))
    # Threads start when they get work, so a fast folder starts none.
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
    """Cut the objects into chunks of at most `length` objects and about a thread's share of BYTES_AHEAD."""
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
    """Read one after the other; from the first transient error on, read each in a thread of its own.

    Returns:
        The results or their futures, and the seconds of each object that was read here.
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
