"""Parse whom to tell: the URL of a webhook, or of a mail server with sender and receivers.

`ValueError` has the reason in words without the address: a webhook's URL often is its secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from skinml.storage.redaction import hide

PORTS = {"http": 80, "https": 443, "smtp": 25, "smtps": 465}

MAIL = re.compile(r"[^\s@<>,;:\"\\()\[\]]+@[^\s@<>,;:\"\\()]+", re.ASCII)
"""An address as this module takes it. Quoted local parts and names are not: they can smuggle headers."""

MOST_RECEIVERS = 20


@dataclass(frozen=True)
class Webhook:
    """Where to post JSON. `shown` may be printed, `url` may not: it may hold a token."""

    url: str
    shown: str


@dataclass(frozen=True)
class Mail:
    """A mail server, and from whom to whom.

    Attributes:
        host, port: the server.
        tls: "always" from the first byte (smtps), "starttls" or refuse, or "offered": STARTTLS if the server
            offers it.
        user, password: None if the server needs none. The password may also come from the environment.
        sender, receivers: mail addresses.
        shown: what may be printed.
    """

    host: str
    port: int
    tls: str
    user: str | None
    password: str | None
    sender: str
    receivers: tuple[str, ...]
    shown: str


Address = Webhook | Mail


def parse_address(text: str) -> Address:
    """Parse an address.

    Raises:
        ValueError: it is none, with what is wrong.
    """
    if not re.fullmatch(r"[!-\[\]-~]*", text):  # not a backslash: programs disagree on the host after it
        raise ValueError(
            "contains a space, a backslash, a control character or a letter beyond ASCII; percent-encode it"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {str(error)[:60]}") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise ValueError("is not an address to notify: give http://, https://, smtp:// or smtps://")
    if not parts.hostname:
        raise ValueError("names no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = PORTS[scheme] if port is None else port
    shown = f"{scheme}://{host}" + ("" if port == PORTS[scheme] else f":{port}")
    if scheme in ("http", "https"):
        hide(text, parts.path.strip("/"), parts.query, parts.password)
        return Webhook(text, shown)
    return _mail(parts, scheme, port, shown)


def _mail(parts: SplitResult, scheme: str, port: int, shown: str) -> Mail:
    asked = parse_qs(parts.query)
    unknown = sorted(asked.keys() - {"from", "to", "tls"})
    if unknown:
        raise ValueError(f"has {unknown[0]!r}; a mail server takes from, to and tls")
    senders, receivers = (_addresses(asked.get(name, [])) for name in ("from", "to"))
    if len(senders) != 1 or not receivers:
        raise ValueError("needs one sender and a receiver: smtp://host/?from=ADDRESS&to=ADDRESS")
    if len(receivers) > MOST_RECEIVERS:
        raise ValueError(f"has {len(receivers)} receivers, more than {MOST_RECEIVERS}; use a mailing list")
    tls = asked.get("tls", ["offered"])[-1]
    if tls not in ("offered", "required"):
        raise ValueError("takes tls=required or tls=offered")
    kind = "always" if scheme == "smtps" else "starttls" if tls == "required" else "offered"
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    hide(password)
    return Mail(parts.hostname or "", port, kind, user, password, senders[0], tuple(receivers), shown)


def _addresses(values: list[str]) -> list[str]:
    """The mail addresses of a parameter, which may hold several with commas between them."""
    found = [part.strip() for value in values for part in value.split(",") if part.strip()]
    for one in found:
        if not MAIL.fullmatch(one):
            raise ValueError("has a mail address that is none; write name@host")
    return found
