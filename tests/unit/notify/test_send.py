"""Tests of skinml/notify/send.py against receivers on this machine."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from skinml.checkup.problems import Problem
from skinml.errors import RunError
from skinml.notify import send as sending
from skinml.notify.address import parse_address
from skinml.notify.message import Message
from skinml.notify.send import send
from tests.services.receivers import mail_server, webhook

NOW = datetime(2026, 11, 27, 2, 30, tzinfo=UTC)
MESSAGE = Message("skinml", [Problem("drifted", "secret detail")], NOW, NOW)


def test_a_webhook_gets_json() -> None:
    with webhook() as received:
        send(parse_address(received.url), MESSAGE)
    [sent] = received.objects()
    assert sent == MESSAGE.to_json()
    assert [problem["kind"] for problem in sent["problems"]] == ["drifted"]


@pytest.mark.parametrize("answer", [301, 404, 500])
def test_a_webhook_that_does_not_take_it_is_an_error_without_its_secret(answer: int) -> None:
    with webhook(answer) as received, pytest.raises(RunError) as raised:
        send(parse_address(received.url), MESSAGE)
    assert str(raised.value).endswith(f"answers {answer}")
    assert "a-secret-token" not in str(raised.value)
    assert len(received.messages) == 1  # a redirected POST is not sent again


def test_user_and_password_of_a_webhook_are_sent_as_a_header() -> None:
    with webhook() as received:
        send(parse_address(received.url.replace("http://", "http://me:a%20secret@")), MESSAGE)
    [header] = received.senders
    assert base64.b64decode(header.removeprefix("Basic ")) == b"me:a secret"


@pytest.mark.parametrize("answer", [b"a-secret-token\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200, b""])
def test_a_webhook_that_speaks_no_http_is_one_line(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        answered = pool.submit(_answer_once, server, answer)
        with pytest.raises(RunError, match="gives no HTTP answer") as raised:
            send(parse_address(f"http://127.0.0.1:{server.getsockname()[1]}/a-secret-token"), MESSAGE)
        answered.result()
    assert "a-secret-token" not in str(raised.value)


def _answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        received = b""
        while b"medical device" not in received:
            received += connection.recv(65_536)
        connection.sendall(answer)


def test_mail_arrives_at_every_receiver() -> None:
    with mail_server() as received:
        send(parse_address(received.url), MESSAGE)
    [text] = received.messages
    mail = email.message_from_string(text, policy=email.policy.default)
    assert mail["Subject"] == "skinml skinml: 1 problem"
    assert (mail["From"], mail["To"]) == ("skinml@clinic.test", "oncall@clinic.test, it@clinic.test")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().splitlines() == MESSAGE.text.splitlines()
    assert len(received.receivers) == 2


@pytest.mark.parametrize(
    ("start", "more", "words"),
    [
        ("", "&tls=required", "does not take it (SMTPNotSupportedError)"),
        ("me:password@", "", "offers no encryption, and a password is not sent without it"),
    ],
)
def test_a_password_and_a_required_tls_are_never_sent_in_clear(start: str, more: str, words: str) -> None:
    with mail_server() as received, pytest.raises(RunError) as raised:
        send(parse_address(received.url.replace("://", f"://{start}") + more), MESSAGE)
    assert words in str(raised.value)
    assert received.messages == []


def test_a_server_that_refuses_is_said() -> None:
    with mail_server(refuses="RCPT") as received, pytest.raises(RunError, match="refuses the receivers"):
        send(parse_address(received.url), MESSAGE)


@pytest.mark.parametrize("scheme", ["http", "smtp", "smtps"])
def test_a_receiver_that_is_not_there_or_says_nothing(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    asked = "/?from=a@b&to=c@d"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RunError, match="does not answer within"):
            send(parse_address(f"{scheme}://127.0.0.1:{port}{asked}"), MESSAGE)
    with pytest.raises(RunError, match="does not answer"):
        send(parse_address(f"{scheme}://127.0.0.1:{port}{asked}"), MESSAGE)
