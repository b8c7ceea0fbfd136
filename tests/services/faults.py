"""An S3 endpoint that fails on purpose: a proxy before the real one, whose rule says which request gets what.

    with faulty(store.endpoint, some(0.2, [Fault.RESET, Fault.CUT], seed=1)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        ...
        assert proxy.faults[Fault.RESET] > 0

The client's own Host header goes on to the server: Signature v4 signs it, so signatures stay true.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() then sends RST instead of FIN


class Fault(StrEnum):
    """What goes wrong with one request."""

    ERROR_500 = "500"  # the server has not seen the request, as with the next three
    ERROR_503 = "503"
    RESET = "reset"  # the connection is reset before an answer
    SILENCE = "silence"  # no answer, and the connection stays open
    LOST = "lost"  # the server did it, but the connection is reset before the answer
    CUT = "cut"  # the server did it, but the connection closes in the middle of the answer's body
    STALL = "stall"  # the server did it, but nothing comes after the middle of the body


@dataclass(frozen=True)
class Request:
    """One request as a rule sees it."""

    method: str
    key: str
    """/bucket/key, percent-decoded."""
    query: str
    """As sent: empty for an object's GET, `list-type=2&...` for a listing."""
    number: int
    """0 for the first request of this method to this key and query, 1 for its first repetition."""

    @property
    def is_read(self) -> bool:
        """Whether it reads an object."""
        return self.method == "GET" and not self.query

    @property
    def is_listing(self) -> bool:
        """Whether it lists a bucket."""
        return self.method == "GET" and "list-type=2" in self.query


Rule = Callable[[Request], Fault | None]


def some(
    fraction: float,
    faults: Sequence[Fault],
    seed: int,
    only: Callable[[Request], bool] | None = None,
    in_a_row: int = 3,
) -> Rule:
    """A seeded rule: this fraction of requests fails, each drawing one of `faults`.

    The n-th request for a key fails or not by its hash, whatever the order in which threads send them. The hash
    is of the whole name: for the same faults again, name buckets and objects the same.

    Args:
        fraction: 0 to 1, of the requests that `only` lets through.
        faults: one is drawn with equal chances.
        seed: another seed, other requests.
        only: which requests may fail; all by default.
        in_a_row: no key fails more often than this without success, so that no patience is worn out by chance.
    """

    def rule(request: Request) -> Fault | None:
        if (only is not None and not only(request)) or request.number % (in_a_row + 1) == in_a_row:
            return None
        drawn = hashlib.sha256(f"{seed} {request}".encode()).digest()
        if int.from_bytes(drawn[:8]) >= fraction * 2**64:
            return None
        return faults[int.from_bytes(drawn[8:16]) % len(faults)]

    return rule


def first(times: int | None, fault: Fault, only: Callable[[Request], bool]) -> Rule:
    """A rule for chosen requests: each fails its first `times` times, or always when that is None."""

    def rule(request: Request) -> Fault | None:
        return fault if only(request) and (times is None or request.number < times) else None

    return rule


class Proxy:
    """The running proxy: where it is, and what it did."""

    def __init__(
        self, endpoint: str, rule: Rule, patience: float, unconditional: tuple[str, str] | None
    ) -> None:
        self.endpoint = urlsplit(endpoint)
        self.rule = rule
        self.patience = patience
        self.unconditional = unconditional
        self.log: list[tuple[Request, Fault | None]] = []
        self.headers: list[dict[str, str]] = []
        """Of each request in `log`, their names in small letters."""
        self.mistakes: list[BaseException] = []
        self.open: set[socket.socket] = set()
        self._numbers: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def faults(self) -> Counter[Fault]:
        """How many requests of each kind of fault there were."""
        return Counter(fault for _, fault in self.log if fault is not None)

    def decide(self, method: str, target: str, headers: Mapping[str, str]) -> Fault | None:
        """Number a request, ask the rule, write down what it said."""
        key, _, query = target.partition("?")
        with self._lock:
            number = self._numbers[method, key, query]
            self._numbers[method, key, query] += 1
            request = Request(method, unquote(key), query, number)
            fault = self.rule(request)
            self.log.append((request, fault))
            self.headers.append({name.lower(): value for name, value in headers.items()})
        return fault

    def serve(self) -> None:
        """Answer until `end` is called."""
        self._server.serve_forever(poll_interval=0.02)

    def end(self) -> None:
        """Take no more connections, drop those there are, say what went wrong that no rule asked for."""
        self._server.shutdown()
        for connection in list(self.open):
            with suppress(OSError):  # it is gone already
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # waits for the threads
        if self.mistakes:
            raise self.mistakes[0]


@contextmanager
def faulty(
    endpoint: str, rule: Rule, patience: float = 60.0, unconditional: tuple[str, str] | None = None
) -> Iterator[Proxy]:
    """A proxy on a free loopback port before `endpoint`, until the block ends.

    Args:
        endpoint: the real server, http://host:port.
        rule: what happens to each request; None lets it through.
        patience: seconds after which a stalled or silent connection is closed, if its client has not done so.
        unconditional: access and secret key, to make it a store that ignores If-None-Match: such a request goes
            on without that header, signed anew.
    """
    proxy = Proxy(endpoint, rule, patience, unconditional)
    serving = threading.Thread(target=proxy.serve, name="faulty")
    serving.start()
    try:
        yield proxy
    finally:
        try:
            proxy.end()
        finally:
            serving.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 would lose connections that no rule chose
    daemon_threads = False

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close without the polite shutdown, which would turn every reset into an orderly end."""
        assert isinstance(request, socket.socket)
        self.proxy.open.discard(request)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle, as one that timed out does, is no news; all else is."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.proxy.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    """One client's connection, with one of its own to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.proxy = self.server.proxy
        self.proxy.open.add(self.connection)
        self.upstream = HTTPConnection(self.proxy.endpoint.hostname or "", self.proxy.endpoint.port, timeout=60)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def relay(self) -> None:
        """Answer one request: pass it on, or do what the rule says."""
        target = self.requestline.split(" ")[1]  # self.path merges slashes at its beginning
        body = self._body()
        fault = self.proxy.decide(self.command, target, dict(self.headers.items()))
        if fault in {Fault.ERROR_500, Fault.ERROR_503}:
            self._error(int(fault))
        elif fault is Fault.RESET:
            self._reset()
        elif fault is Fault.SILENCE:
            self._wait()
        else:
            self._pass_on(target, body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay  # noqa: N815 - the names that http.server asks for

    def handle_expect_100(self) -> bool:
        """Ask for the body now: it does not come before it is asked for."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, *_: object) -> None:
        """Nothing on stderr: the proxy's own log is `Proxy.log`."""

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise NotImplementedError("a body in chunks: neither obstore nor boto sends one over HTTP")
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _pass_on(self, target: str, body: bytes, fault: Fault | None) -> None:
        try:
            status, reason, headers, answer = self._ask(target, body)
        except (HTTPException, OSError):  # the server closed a connection that was idle
            self.upstream.close()
            status, reason, headers, answer = self._ask(target, body)
        if fault is Fault.LOST:
            self._reset()
            return
        self.wfile.write(f"HTTP/1.1 {status} {reason}\r\n".encode("latin-1"))
        for name, value in headers:
            self.wfile.write(f"{name}: {value}\r\n".encode("latin-1"))
        self.wfile.write(b"\r\n")
        self.wfile.write(answer if fault is None else answer[: len(answer) // 2])
        self.wfile.flush()
        if fault is Fault.CUT:
            self.close_connection = True
        elif fault is Fault.STALL:
            self._wait()

    def _ask(self, target: str, body: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
        self.upstream.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
        sent: Mapping[str, str] = dict(self.headers.items())
        if self.proxy.unconditional and "If-None-Match" in self.headers:
            sent = self._signed_anew(target, body, self.proxy.unconditional)
        for name, value in sent.items():
            if name.lower() not in {"expect", "connection"}:
                self.upstream.putheader(name, value)
        self.upstream.endheaders(body or None)
        response = self.upstream.getresponse()
        answer = response.read()
        headers = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in {"transfer-encoding", "connection"}
            and not (name.lower() == "content-length" and self.command != "HEAD")
        ]
        if self.command != "HEAD" and response.status not in {204, 304}:
            headers.append(("Content-Length", str(len(answer))))
        return response.status, response.reason, headers, answer

    def _signed_anew(self, target: str, body: bytes, keys: tuple[str, str]) -> Mapping[str, str]:
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{target}", data=body)
        S3SigV4Auth(Credentials(*keys), "s3", "us-east-1").add_auth(request)
        return {"Host": self.headers["Host"], "Content-Length": str(len(body)), **request.headers}

    def _error(self, status: int) -> None:
        code = {500: "InternalError", 503: "SlowDown"}[status]
        body = f"<Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.close_connection = True

    def _wait(self) -> None:
        """Until the client gives up, the proxy ends or its patience does."""
        self.connection.settimeout(self.proxy.patience)
        with suppress(OSError):
            self.connection.recv(1)
        self.close_connection = True
