"""Tests of skinml/notify/address.py: what can be told, and that a wrong address never repeats its secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.notify.address import Mail, Webhook, parse_address
from skinml.storage.redaction import redacted


def test_a_webhook_keeps_its_secret() -> None:
    address = parse_address("https://hooks.clinic.test:8443/services/T000/very-secret-token")
    assert isinstance(address, Webhook)
    assert address.shown == "https://hooks.clinic.test:8443"
    assert "very-secret" not in redacted(f"could not post to {address.url}")


def test_a_mail_server_with_user_and_receivers() -> None:
    address = parse_address(
        "smtps://me%40clinic:p%40ss@mail.clinic.test/?from=a@b.test&to=c@d.test,e@f.test&to=g@h"
    )
    assert address == Mail(
        "mail.clinic.test", 465, "always", "me@clinic", "p@ss", "a@b.test", ("c@d.test", "e@f.test", "g@h"),
        "smtps://mail.clinic.test",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "tls"), [("", "offered"), ("&tls=required", "starttls"), ("&tls=offered", "offered")]
)
def test_smtp_uses_starttls(query: str, tls: str) -> None:
    address = parse_address(f"smtp://[::1]:2525/?from=a@b&to=c@d{query}")
    assert isinstance(address, Mail)
    assert (address.host, address.port, address.tls, address.shown) == ("::1", 2525, tls, "smtp://[::1]:2525")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not an address"),
        ("clinic.test", "is not an address"),
        ("ftp://clinic.test", "is not an address"),
        ("file:///etc/passwd", "is not an address"),
        ("https:///path", "no host"),
        ("https://host:99999/", "is not a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://host/a b", "a space"),
        ("https://host/\nX-Header: 1", "a space"),
        ("https://host\\@elsewhere.test/", "a backslash"),
        ("smtp://host", "one sender"),
        ("smtp://host/?from=a@b", "one sender"),
        ("smtp://host/?from=a@b,c@d&to=e@f", "one sender"),
        ("smtp://host/?from=a@b&to=c@d&tls=no", "tls="),
        ("smtp://host/?from=a@b&to=c@d&bcc=e@f", "'bcc'"),
        ("smtp://host/?from=a@b&to=c%0d%0aBcc:e@f", "mail address"),
        ("smtp://host/?from=a@b&to=nobody", "mail address"),
        ("smtp://host/?from=a@b&to=" + ",".join(["c@d"] * 21), "21 receivers"),
    ],
)
def test_what_is_no_address_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_address(text)


@given(st.text(max_size=60), st.sampled_from(["", "https://", "smtp://", "smtp://h/?from=a@b&to="]))
def test_any_text_is_an_address_or_a_value_error(text: str, start: str) -> None:
    try:
        address = parse_address(start + text)
    except ValueError:
        return
    assert address.shown.isprintable()
    if isinstance(address, Mail):
        assert all(one.isprintable() and " " not in one for one in (address.sender, *address.receivers))
