"""A simulated S3: it answers the listing of buckets of a million made-up objects, and nothing else.

Bucket `known-N` holds N objects below `archive/`. Pages are rendered beforehand, so that the server takes no
time from the program that is measured. It listens on two loopback ports: at the first an answer takes at least
PAGE_SECONDS, at the second it comes at once. Run as a program it prints both when it is ready.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from benchmarks.harness.inputs import REPOSITORY

PAGE = 1_000
"""Objects an answer, as S3 has it."""

PAGE_SECONDS = 0.02
"""SeaweedFS took 15 to 26 ms for a page on the machine where this was written; over a network it is more."""

FOLDER = "archive/"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def url(objects: int) -> str:
    """The archive that has so many objects."""
    return f"s3://known-{objects}/{FOLDER.rstrip('/')}"


@dataclass(frozen=True)
class Endpoints:
    """Where the server listens: with the pace of a real one, and without."""

    paced: str
    unpaced: str


def environment(endpoint: str) -> dict[str, str]:
    """What clients of S3 read; the server looks at no key."""
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}
    return {"AWS_ENDPOINT_URL": endpoint, **keys}


@contextmanager
def running(objects: int) -> Iterator[Endpoints]:
    """Start the server in a process of its own, with pages for so many objects; end it with the block."""
    command = [sys.executable, "-m", __name__, str(objects)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or len(ports := process.stdout.readline().split()) != 2:
                raise RuntimeError("the simulated S3 did not start")
            yield Endpoints(*(f"http://127.0.0.1:{port}" for port in ports))
        finally:
            process.terminate()


def key(number: int) -> str:
    """An object's key; they ascend with their numbers."""
    return f"{FOLDER}ISIC_{number:09d}.jpg"


def contents(first: int, end: int) -> bytes:
    """The entries of some objects."""
    return b"".join(
        f"<Contents><Key>{key(number)}</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{md5(str(number).encode(), usedforsecurity=False).hexdigest()}&quot;</ETag>"
        f"<Size>{20_000 + number % 8_000}</Size><StorageClass>STANDARD</StorageClass></Contents>".encode()
        for number in range(first, end)
    )


def answer(bucket: str, query: Mapping[str, str], pages: Mapping[int, bytes]) -> bytes:
    """The XML of one page.

    Args:
        bucket: known-N.
        query: prefix, start-after and continuation-token as S3 has them; others are not looked at.
        pages: entries of whole pages, by the number of their first object.
    """
    objects = int(bucket.removeprefix("known-")) if FOLDER.startswith(query.get("prefix", "")) else 0
    after = query.get("start-after", "")
    first = int(query.get("continuation-token", 0)) or (_number(after) + 1 if after else 0)
    end = max(first, min(objects, first + PAGE))
    whole = end - first == PAGE and first in pages
    entries = pages[first] if whole else contents(first, end)
    token = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < objects else ""
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{NAMESPACE}"><Name>{bucket}</Name>'
        f"<Prefix>{query.get('prefix', '')}</Prefix><KeyCount>{end - first}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        f"<IsTruncated>{str(end < objects).lower()}</IsTruncated>{token}"
    )
    return head.encode() + entries + b"</ListBucketResult>"


def _number(name: str) -> int:
    return int(name.removeprefix(f"{FOLDER}ISIC_").removesuffix(".jpg"))


def serve(pages: Mapping[int, bytes], seconds: float) -> ThreadingHTTPServer:
    """A server on a free port, in threads of its own, whose answers take at least so long."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            due = time.perf_counter() + seconds
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            body = answer(asked.path.strip("/"), query, pages)
            time.sleep(max(0.0, due - time.perf_counter()))
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    rendered = {first: contents(first, first + PAGE) for first in range(0, int(sys.argv[1]), PAGE)}
    servers = [serve(rendered, seconds) for seconds in (PAGE_SECONDS, 0.0)]
    print(*(server.server_address[1] for server in servers), flush=True)
    threading.Event().wait()
