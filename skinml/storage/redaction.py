"""Remove secrets from text before it becomes an error, a log line or a row of `runs`."""

from __future__ import annotations

import re

MASK = "***"

SHORTEST = 8
"""Only secrets of at least this many characters are searched for. Shorter ones could be part of any word."""

_known: set[str] = set()

# user:password before a host, with or without a scheme. Not for s3: and file:, whose names may contain an @.
_USERINFO = re.compile(
    r"(?i)\b((?!s3a?:|file:)[a-z][a-z0-9+.-]*://)[^\s/?#\"']*@|(?<![\w/])[^\s/?#:@\"']+:[^\s/?#@\"']+@(?=[\w.\[])"
)

# The parameters that sign a URL (AWS signature versions 4 and 2), also percent-encoded, and the token header.
_SIGNED = re.compile(
    r"(?i)(?:(?<![a-z])|(?<=%3f))(x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|security-token|secret\w*"
    r"|password|token)(=|%3d|:\s*)[^&\s\"'<>,)]+"
)


def hide(*secrets: str | None) -> None:
    """Remember secrets that `redacted` must remove from now on."""
    _known.update(secret for secret in secrets if secret and len(secret) >= SHORTEST)


def redacted(text: str) -> str:
    """Replace every secret by ***: those passed to `hide`, passwords in URLs, and signatures of URLs."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _USERINFO.sub(lambda found: f"{found[1] or ''}{MASK}@", text)
    return _SIGNED.sub(rf"\1\2{MASK}", text)


def redact(error: BaseException) -> None:
    """Remove secrets from an error and from its causes, because a traceback shows all of them."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        seen.args = tuple(redacted(part) if isinstance(part, str) else part for part in seen.args)
        if isinstance(seen, OSError) and isinstance(seen.strerror, str):
            seen.strerror = redacted(seen.strerror)
        seen = seen.__cause__ or seen.__context__
