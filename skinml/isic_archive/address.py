"""Which addresses are asked: https, or http on this machine alone if the archive itself is there."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from skinml.errors import RequestError, RunError
from skinml.requests.up import is_loopback


def check_base(url: str) -> str:
    """Return the address of the interface with one slash at its end.

    Raises:
        RequestError: it is not https, nor http on a loopback address; or it holds a password.

    Example:
        >>> check_base("https://api.isic-archive.com/api/v2")
        'https://api.isic-archive.com/api/v2/'
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise RequestError(f"--url {url!r}: is not an address ({error}); give https://HOST/api/v2/") from error
    if parts.username is not None or parts.password is not None:
        raise RequestError("--url: has a user or password in it; the archive's public interface needs none")
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host))):
        raise RequestError(f"--url {url!r}: is not encrypted; give https://HOST/api/v2/")
    return parts._replace(path=f"{parts.path.rstrip('/')}/", query="", fragment="").geturl()


def next_page(base: str, url: str) -> str:
    """Return the address of the next page, which must be of the same server.

    A server behind a proxy may call itself http: it is asked by https all the same.

    Raises:
        RunError: it leads to another server.

    Example:
        >>> next_page("https://a.org/api/v2/", "http://a.org/api/v2/images/search/?cursor=bz0x")
        'https://a.org/api/v2/images/search/?cursor=bz0x'
    """
    own, parts = urlsplit(base), urlsplit(urljoin(base, url))
    if parts.scheme == "http" and own.scheme == "https" and parts.port in (None, 80):
        parts = parts._replace(scheme="https", netloc=parts.hostname or "")
    if (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
        raise RunError(f"{base}: its next page is at {parts.netloc}, another server; it is not asked")
    return parts.geturl()


def may_ask(base: str, url: str) -> bool:
    """Whether a file may be read from this address, which the archive has given.

    Example:
        >>> may_ask("https://a.org/api/v2/", "https://files.org/1.jpg")
        True
        >>> may_ask("https://a.org/api/v2/", "http://127.0.0.1/1.jpg")
        False
    """
    try:
        parts, own = urlsplit(url), urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        return False
    local = is_loopback(own.hostname or "")
    if is_loopback(host):  # the archive must not make us ask servers of this machine
        return local and parts.scheme in ("http", "https")
    return bool(host) and parts.scheme == "https"


def redirected(base: str, url: str, location: str) -> str | None:
    """Return where a redirect leads, if it stays on the same host and may be followed; else None."""
    target = urljoin(url, location)
    same_host = urlsplit(target).hostname == urlsplit(url).hostname
    return target if same_host and may_ask(base, target) else None
