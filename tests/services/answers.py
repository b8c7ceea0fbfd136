"""Small HTTP servers on loopback that are no Prefect server, and a proxy that turns into one of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers one request, whose body is read already."""


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server that gives every request this answer. Its address, as PREFECT_API_URL has it."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            answer(self, self.rfile.read(int(self.headers.get("content-length") or 0)))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)  # how often it looks
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Answer with these; a header's underscores stand for dashes."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def login_page(request: BaseHTTPRequestHandler, _: bytes) -> None:
    send(request, 200, b"<html>Please log in</html>", content_type="text/html")


def empty(request: BaseHTTPRequestHandler, _: bytes) -> None:
    send(request, 200)


def hang_up(request: BaseHTTPRequestHandler, _: bytes) -> None:
    request.close_connection = True


def redirect_to_login(request: BaseHTTPRequestHandler, body: bytes) -> None:
    if request.path == "/login":
        login_page(request, body)
    else:
        send(request, 302, location="/login")


def other_json(request: BaseHTTPRequestHandler, _: bytes) -> None:
    send(request, 200, b'{"status": "ok"}', content_type="application/json")


def prefect_2(request: BaseHTTPRequestHandler, _: bytes) -> None:
    send(request, 200, b'"2.20.4"' if "version" in request.path else b"true", content_type="application/json")


def looks_well(request: BaseHTTPRequestHandler, _: bytes) -> None:
    """Passes every check beforehand, and then understands nothing."""
    send(request, 200, b'"3.8.8"' if "version" in request.path else b'"?"', content_type="application/json")


def wants_keys(request: BaseHTTPRequestHandler, _: bytes) -> None:
    send(request, 401, b'{"exception_message": "Unauthorized"}', content_type="application/json")


@contextmanager
def silent() -> Iterator[str]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}/api"


class Switchable:
    """A proxy before a real server that gives another answer while `instead` is set. It has state: a class."""

    def __init__(self, real: str) -> None:
        self.real = real.removesuffix("/api")
        self.instead: Answer | None = None
        self.only = ""
        """What a path must hold for the other answer."""
        self._running = ExitStack()

    def __enter__(self) -> Switchable:
        self._client = self._running.enter_context(httpx.Client(timeout=60))
        self.url = self._running.enter_context(answering(self._answer))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.instead is not None and self.only in request.path:
            self.instead(request, body)
            return
        dropped = ("host", "connection", "content-length", "accept-encoding")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        answer = self._client.request(request.command, self.real + request.path, content=body, headers=headers)
        kind = answer.headers.get("content-type", "text/plain")
        send(request, answer.status_code, answer.content, content_type=kind)
