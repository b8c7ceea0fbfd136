"""Receivers of notifications on this machine: an HTTP server and an SMTP server that keep what they get."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """What a receiver got, and where it listens."""

    url: str = ""
    messages: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)

    def about(self, words: str) -> list[str]:
        """The messages with these words."""
        return [message for message in self.messages if words in message]

    def objects(self) -> list[dict[str, Any]]:
        """The messages as JSON."""
        return [json.loads(message) for message in self.messages]


@contextmanager
def webhook(answer: int = 200) -> Iterator[Received]:
    """An HTTP server that answers everything with this status."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.senders.append(self.headers.get("Authorization", ""))
            received.messages.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            if 300 <= answer < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_address[1]}/hook/a-secret-token"
        yield from _serving(server, received)


@contextmanager
def mail_server(refuses: str = "") -> Iterator[Received]:
    """An SMTP server that takes every mail, or answers a command with 550. It offers no encryption."""
    received = Received()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 sink")
            while line := self.rfile.readline().decode("utf-8", "replace").rstrip("\r\n"):
                command = line.split(" ")[0].upper()
                if command == refuses:
                    self._say("550 no")
                elif command == "EHLO":
                    self._say("250 sink")
                elif command == "DATA":
                    self._say("354 go on")
                    lines: list[str] = []
                    while (text := self.rfile.readline().decode("utf-8", "replace").rstrip("\r\n")) != ".":
                        lines.append(text)
                    received.messages.append("\n".join(lines))
                    self._say("250 taken")
                elif command == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    if command in ("MAIL", "RCPT"):
                        (received.senders if command == "MAIL" else received.receivers).append(line)
                    self._say("250 ok")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        port = server.server_address[1]
        received.url = f"smtp://127.0.0.1:{port}/?from=skinml@clinic.test&to=oncall@clinic.test,it@clinic.test"
        yield from _serving(server, received)


def _serving(server: socketserver.BaseServer, received: Received) -> Iterator[Received]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
