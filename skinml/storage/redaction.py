"""Secrets taken out of text before it becomes an error, a log line or a row of `runs`."""

from __future__ import annotations

import re

MASK = "***"

SHORTEST = 8
"""Characters of a secret that is looked for anywhere in a text. A shorter one could be part of any word."""

_known: set[str] = set()

# user:password before a host, also where there is no scheme. Without "s3": keys may have an @ in them.
_USERINFO = re.compile(
    r"(?i)\b((?!s3a?:|file:)[a-z][a-z0-9+.-]*://)[^\s/?#\"']*@|(?<![\w/])[^\s/?#:@\"']+:[^\s/?#@\"']+@(?=[\w.\[])"
)

# What signs a URL (AWS' version 4 and 2), also percent-encoded, and the header that has a session token.
_SIGNED = re.compile(
    r"(?i)(?:(?<![a-z])|(?<=%3f))(x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|security-token|secret\w*"
    r"|password|token)(=|%3d|:\s*)[^&\s\"'<>,)]+"
)


def hide(*secrets: str | None) -> None:
    """Remember secrets that no text may show from here on."""
    _known.update(secret for secret in secrets if secret and len(secret) >= SHORTEST)


def redacted(text: str) -> str:
    """The text with every secret as ***: those that `hide` knows, passwords in URLs, what signs a URL."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _USERINFO.sub(lambda found: f"{found[1] or ''}{MASK}@", text)
    return _SIGNED.sub(rf"\1\2{MASK}", text)


def redact(error: BaseException) -> None:
    """Take secrets out of an error's own text and of what caused it: a traceback shows all of them."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        seen.args = tuple(redacted(part) if isinstance(part, str) else part for part in seen.args)
        if isinstance(seen, OSError) and isinstance(seen.strerror, str):
            seen.strerror = redacted(seen.strerror)
        seen = seen.__cause__ or seen.__context__
