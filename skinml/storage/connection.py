"""Open connections to buckets, once per process, and turn their errors into one readable line."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from skinml.errors import RequestError, SkinmlError, StorageError
from skinml.storage.redaction import redact, redacted
from skinml.storage.settings import Settings, settings
from skinml.storage.urls import is_remote

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

REQUEST_SECONDS = 60.0
"""Timeout of one request. Long enough to read 64 MiB, the largest object that is read, at 1.1 MB/s."""

SILENT_SECONDS = 10.0
"""Timeout of a connection that delivers nothing. Without it, a stalled body would take all REQUEST_SECONDS."""


def s3_options() -> dict[str, str]:
    """Return delta-rs's storage options, built again for each table because credentials may have been renewed.

    delta-rs takes every option that is missing here from the environment, so all options are given.
    """
    found = settings()
    access_key, secret_key, token = found.keys()
    options = {
        "AWS_ENDPOINT_URL": found.endpoint,
        "AWS_ENDPOINT_URL_S3": found.endpoint,
        "AWS_REGION": found.region,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_ALLOW_HTTP": "true" if found.endpoint.startswith("http://") else "false",
        **_proxy_options(found),
    }
    # If we have no token but the environment has one (which belongs to other keys), pass an empty one:
    # otherwise delta-rs would use the one of the environment.
    if token or "AWS_SESSION_TOKEN" in os.environ:
        options["AWS_SESSION_TOKEN"] = token or ""
    return options


def _proxy_options(found: Settings) -> dict[str, str]:
    """Return the proxy options of obstore and delta-rs, which would each read the environment differently."""
    if found.proxy is None:
        return {}
    options = {"proxy_url": found.proxy.url}
    if not found.proxy.used:
        options["proxy_excludes"] = urlsplit(found.endpoint).hostname or ""
    return options


@cache
def bucket(name: str, retries: int = 6) -> S3Store:
    """Return the obstore connection to a bucket, opened with `settings`.

    obstore 0.12.1 itself retries 5xx answers, connections that are reset or silent, and the body of a GET that
    breaks off or stalls (it asks for the rest). It does not retry the body of a listing, nor a conditional put
    or a deletion whose connection breaks, because the store may have executed it. tests/services/faults.py
    shows both. Code that needs those retries, or a bound on the time, passes retries=0 and uses
    `retry.retrying`.

    Args:
        name: the bucket.
        retries: how often obstore retries: about 2 s in all if every attempt is refused at once.
    """
    from obstore.store import S3Store

    found = settings()
    options = {
        "allow_http": found.endpoint.startswith("http://"),
        "timeout": timedelta(seconds=REQUEST_SECONDS),
        "read_timeout": timedelta(seconds=SILENT_SECONDS),
        **_proxy_options(found),
    }
    return S3Store(
        name,
        # Given twice, because obstore prefers AWS_ENDPOINT_URL_S3 of the environment to `endpoint`.
        config=cast("S3Config", {"endpoint": found.endpoint, "aws_endpoint_url_s3": found.endpoint}),
        region=found.region,
        credential_provider=found.credential,
        client_options=cast("ClientConfig", options),
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=60)},
    )


def bucket_and_key(url: str) -> tuple[str, str]:
    """Split s3://bucket/key into the bucket's name and the key."""
    name, _, key = url[5:].partition("/")
    return name, key


def split(url: str, retries: int = 6) -> tuple[S3Store, str]:
    """Return the connection and the key of s3://bucket/key."""
    name, key = bucket_and_key(url)
    return bucket(name, retries), key


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status of S3's answer from the text of obstore's error; None if there was no answer.

    Only the number after "status code:" counts: ports, times and ids in the text hold other three-digit
    numbers.
    """
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn any error of storage into one line: a RequestError, or a StorageError, which may be retried."""
    try:
        yield
    except SkinmlError:
        raise
    except Exception as error:
        redact(error)
        ours = _ours(url, error)
        if ours is None:
            raise
        raise ours from error


def _ours(url: str, error: Exception) -> SkinmlError | None:
    """Return our error for one of a storage library; None if it comes from somewhere else."""
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{url}: not found")
    note = proxy_note(url, error)
    if isinstance(error, PermissionError):
        place = error.filename or url
        return RequestError(f"{place}: permission denied; check who may read and write there{note}")
    library = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError) or library in {"obstore", "botocore", "aiobotocore", "aiohttp"}:
        return _refusal(url, error, note) or StorageError(f"{url}: {in_words(error)}{note}")
    return None


def _refusal(url: str, error: Exception, note: str) -> RequestError | None:
    """Return the error for a request that S3 refused for good; None if a retry may help."""
    text, status = str(error), http_status(error)
    if "NoSuchBucket" in text:
        return RequestError(f"{url}: no such bucket; check its name and region")
    if "list request" in text and status == 404:
        return not_s3(url)
    if status in {401, 403} or "PermissionDenied" in type(error).__name__:
        return RequestError(
            f"{url}: access refused; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and the "
            f"policy of the bucket{note}"
        )
    return None


def in_words(error: BaseException) -> str:
    """Return a library's message as one line without secrets; remove them from the error itself as well."""
    redact(error)
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    # obstore repeats the message after an empty line; delta-rs puts each cause on a line, after a coloured
    # arrow.
    lines = re.sub(r"\x1b\[[0-9;]*m|↳", "", text.partition("\n\n")[0]).splitlines()
    return redacted(": ".join(line.strip(" :") for line in lines if line.strip())[:400])


def proxy_note(url: str, error: BaseException | None = None) -> str:
    """Return what to add to an error if a proxy is used and the answer is not from S3 itself; else nothing."""
    if not is_remote(url) or "<Code>" in str(error):
        return ""
    try:
        found = settings()
    except SkinmlError:  # reported by whoever needs the settings
        return ""
    if found.proxy is None or not found.proxy.used:
        return ""
    return (
        f"; sent through the proxy {found.proxy.host} ({found.proxy.variable}): if that is not intended, add "
        f"{urlsplit(found.endpoint).hostname} to NO_PROXY"
    )


def not_s3(url: str) -> RequestError:
    """Return the error for an endpoint that is not an S3 server."""
    found = settings()
    return RequestError(
        f"{url}: {found.endpoint} (from {found.endpoint_source}) is not an S3 server; correct the endpoint"
        f"{proxy_note(url)}"
    )


def check_answers(url: str) -> None:
    """Check that an empty listing came from S3: obstore and delta-rs read a login page as an empty listing.

    A login page answers every request with 200. So we ask for an object with a random name: S3 answers 404.

    Raises:
        RequestError: the server says that the object exists, so it is not S3.
    """
    import obstore

    store, prefix = split(url, retries=0)
    try:
        obstore.head(store, f"{prefix}/.{secrets.token_hex(16)}".lstrip("/"))
    except Exception:  # a 404, 403 or 503: a login page answers none of these
        return
    raise not_s3(url)


@cache
def file_system() -> Any:
    """Return the s3fs file system, for what obstore cannot do: whole files, odd keys, uploads in parts."""
    import s3fs

    found = settings()
    # Temporary credentials are not passed: s3fs finds the same ones and renews them itself.
    access_key, secret_key, token = (None, None, None) if found.temporary else found.keys()
    proxies = {urlsplit(found.endpoint).scheme: found.proxy.url} if found.proxy and found.proxy.used else {}
    return s3fs.S3FileSystem(
        key=access_key,
        secret=secret_key,
        token=token,
        endpoint_url=found.endpoint,
        client_kwargs={"region_name": found.region},
        config_kwargs={"proxies": proxies},
        use_listings_cache=False,  # s3fs caches listings for ever by default, and an archive grows
        skip_instance_cache=True,  # a cached instance may have older credentials
    )
