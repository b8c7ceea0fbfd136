"""Deliver a message by webhook or mail, or say why nobody was told."""

from __future__ import annotations

import base64
import http.client
import json
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any
from urllib.parse import unquote, urlsplit

from skinml.errors import RunError
from skinml.notify.address import Address, Mail, Webhook
from skinml.notify.message import Message
from skinml.process.switches import NOTIFY_PASSWORD
from skinml.storage.redaction import hide

SECONDS = 15.0
"""How long a receiver may take to answer: a webhook behind a cold start takes a few seconds."""


def send(address: Address, message: Message) -> None:
    """Deliver a message.

    Raises:
        RunError: the receiver did not take it; in one line without the address's secrets.
    """
    deliver = _post if isinstance(address, Webhook) else _mail
    try:
        deliver(address, message)  # type: ignore[arg-type]
    except (OSError, smtplib.SMTPException, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise RunError(f"nobody was told: {address.shown} {_reason(error)}") from error


def _post(address: Webhook, message: Message) -> None:
    url, headers = _without_user(address.url)
    request = urllib.request.Request(  # noqa: S310 - http and https alone: parse_address
        url,
        data=json.dumps(message.to_json(), allow_nan=False).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "skinml", **headers},
        method="POST",
    )
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=SECONDS):
        pass


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """A URL without user and password, and the header with them: urllib takes them for the host."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    credentials = base64.b64encode(
        f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    ).decode()
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {credentials}"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without its body, and nobody would notice."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _mail(address: Mail, message: Message) -> None:
    password = address.password or os.environ.get(NOTIFY_PASSWORD)
    hide(password)
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, address.sender, ", ".join(address.receivers)
    mail["Date"], mail["Message-ID"] = format_datetime(message.checked_at), make_msgid(domain="skinml")
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers (RFC 3834)
    mail.set_content(message.text)
    trusted = ssl.create_default_context()
    if address.tls == "always":
        server: smtplib.SMTP = smtplib.SMTP_SSL(address.host, address.port, timeout=SECONDS, context=trusted)
    else:
        server = smtplib.SMTP(address.host, address.port, timeout=SECONDS)
    with server:
        server.ehlo()
        encrypted = address.tls == "always"
        if not encrypted and (address.tls == "starttls" or server.has_extn("starttls")):
            server.starttls(context=trusted)
            encrypted = True
        if address.user:
            if not encrypted:
                raise ValueError("offers no encryption, and a password is not sent without it; use smtps://")
            if not password:
                raise ValueError(f"needs the password of its user: set {NOTIFY_PASSWORD}")
            server.login(address.user, password)
        server.send_message(mail)


def _reason(error: Exception) -> str:
    """Why, in a few words. Never the text of an HTTP answer or of a URL."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answers {error.code}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    if isinstance(error.__context__, TimeoutError):  # smtplib calls it a lost connection
        error = error.__context__
    for kind, said in (
        (smtplib.SMTPAuthenticationError, "refuses the user or the password"),
        (smtplib.SMTPRecipientsRefused, "refuses the receivers"),
        (smtplib.SMTPResponseException, f"answers {getattr(error, 'smtp_code', '?')}"),
        (smtplib.SMTPException, f"does not take it ({type(error).__name__})"),
        (http.client.HTTPException, f"gives no HTTP answer ({type(error).__name__})"),
        (TimeoutError, f"does not answer within {SECONDS:.0f} s"),
        (ssl.SSLCertVerificationError, "has a certificate that is not trusted"),
        (OSError, f"does not answer ({getattr(error, 'strerror', None) or type(error).__name__})"),
    ):
        if isinstance(error, kind):
            return said
    return str(error)
