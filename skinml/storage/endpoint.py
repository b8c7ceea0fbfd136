"""Check the S3 endpoint and find the proxy for it, once and in the same way for every library."""

from __future__ import annotations

import ipaddress
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from skinml.errors import RequestError
from skinml.storage.redaction import MASK, hide

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True)
class Proxy:
    """A proxy from the environment.

    Attributes:
        variable: the environment variable that names the proxy, as spelled there.
        url: the proxy, with its user and password if it has any.
        host: host:port, safe to show.
        used: False if NO_PROXY excludes the endpoint.
    """

    variable: str
    url: str
    host: str
    used: bool


def checked_endpoint(source: str, value: str) -> str:
    """Return an endpoint in the form that every library accepts: lower case, without a slash at the end.

    Args:
        source: the environment variable, or the file and section, that sets the endpoint.
        value: its value.

    Raises:
        RequestError: the value is not http://host:port or https://host:port. The message shows no password.
    """
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is not a number, a bracket that is not closed
        raise _refused(source, value, "its host or port is not valid") from None
    if "@" in value:
        raise _refused(source, value, "it contains a user or password")
    if "://" not in value:
        raise _refused(source, value, "it has no scheme")
    if parts.scheme not in {"http", "https"}:  # urlsplit gives it in small letters
        raise _refused(source, value, f"{parts.scheme}:// is not supported")
    if not _HOST.fullmatch(host):
        raise _refused(source, value, "it has no host")
    if parts.path.strip("/") or "?" in value or "#" in value:
        raise _refused(source, value, "it has a path or query after host and port")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


def _refused(source: str, value: str, why: str) -> RequestError:
    # Everything before the last @ may be a password, and what follows a ? may sign the URL.
    scheme, separator, rest = value.rpartition("://")
    shown = f"{scheme}{separator}{MASK}@{rest.rpartition('@')[2]}" if "@" in value else value
    if "?" in shown:
        shown = f"{shown.partition('?')[0]}?{MASK}"
    return RequestError(
        f"{source}={shown!r} is not an S3 endpoint: {why}; write http://host:port or https://host:port"
    )


def proxy_before(endpoint: str) -> Proxy | None:
    """Return the proxy for an endpoint from HTTP_PROXY, HTTPS_PROXY or ALL_PROXY (lower or upper case), if any.

    The variables are read as Python's urllib reads them: lower case first; NO_PROXY holds host names and
    suffixes. In addition NO_PROXY may hold networks such as 10.0.0.0/8, as reqwest allows.

    Raises:
        RequestError: the proxy would be used, but obstore, s3fs and delta-rs do not all support it.
    """
    target = urlsplit(endpoint)
    proxies = getproxies_environment()
    kind = next((kind for kind in (target.scheme, "all") if kind in proxies), None)
    if kind is None:
        return None
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    variable = next(name for name in (*names, *os.environ) if os.environ.get(name) == proxies[kind])
    url = proxies[kind] if "://" in proxies[kind] else f"http://{proxies[kind]}"
    used = not _is_bypassed(target, proxies)
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            hide(parts.password, unquote(parts.password or ""))
            port = f":{parts.port}" if parts.port else ""
            return Proxy(variable, url, f"{parts.hostname}{port}", used)
    if not used:
        return None
    raise RequestError(
        f"{variable}={MASK}@{url.rpartition('@')[2]} is not a proxy that S3 can be reached through; "
        f"write http://host:port, or add {target.hostname} to NO_PROXY"
        if "@" in url
        else f"{variable}={url} is not a proxy that S3 can be reached through; "
        f"write http://host:port, or add {target.hostname} to NO_PROXY"
    )


def _is_bypassed(target: SplitResult, proxies: dict[str, str]) -> bool:
    if proxy_bypass_environment(target.netloc, proxies):
        return True
    with suppress(ValueError):  # a name, not an address
        address = ipaddress.ip_address(target.hostname or "")
        for entry in proxies.get("no", "").split(","):
            with suppress(ValueError):
                if address in ipaddress.ip_network(entry.strip(), strict=False):
                    return True
    return False
