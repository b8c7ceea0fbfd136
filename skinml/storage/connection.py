"""Connections to buckets, made once a process, and what their errors mean to a person."""

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
"""One request may take this long: 64 MiB, the largest object that is read, at 1.1 MB/s."""

SILENT_SECONDS = 10.0
"""A connection that brings nothing for so long is given up. Otherwise a stalled body costs all of the above."""


def s3_options() -> dict[str, str]:
    """What delta-rs needs, made anew for each table that is opened: credentials may have been renewed.

    It looks for what is not here in the environment, so all is here.
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
    # An empty one only where the environment has one of other keys, which delta-rs would take.
    if token or "AWS_SESSION_TOKEN" in os.environ:
        options["AWS_SESSION_TOKEN"] = token or ""
    return options


def _proxy_options(found: Settings) -> dict[str, str]:
    """What obstore and delta-rs are told of proxies: they read the environment in a way of their own."""
    if found.proxy is None:
        return {}
    options = {"proxy_url": found.proxy.url}
    if not found.proxy.used:
        options["proxy_excludes"] = urlsplit(found.endpoint).hostname or ""
    return options


@cache
def bucket(name: str, retries: int = 6) -> S3Store:
    """The obstore connection to a bucket, opened as `settings` says.

    What obstore 0.12.1 tries again by itself, as tests/services/faults.py shows: 5xx, connections that are
    reset or silent, and the body of a GET that breaks off or stalls (it asks for the rest). What it does not:
    the body of a listing, and a conditional put or a deletion whose connection breaks, which may have been
    done. Where that matters, or the time must be bounded, `patience` does it instead, with no retries here.

    Args:
        name: the bucket.
        retries: how often obstore itself tries again: about 2 s in all where each try is refused at once.
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
        # Twice, because obstore puts an AWS_ENDPOINT_URL_S3 of the environment before a plain one named here.
        config=cast("S3Config", {"endpoint": found.endpoint, "aws_endpoint_url_s3": found.endpoint}),
        region=found.region,
        credential_provider=found.credential,
        client_options=cast("ClientConfig", options),
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=60)},
    )


def bucket_and_key(url: str) -> tuple[str, str]:
    """s3://bucket/key as the bucket's name and the key."""
    name, _, key = url[5:].partition("/")
    return name, key


def split(url: str, retries: int = 6) -> tuple[S3Store, str]:
    """s3://bucket/key as a connection and the key."""
    name, key = bucket_and_key(url)
    return bucket(name, retries), key


def http_status(error: BaseException) -> int | None:
    """The status that S3 answered, from the text in which obstore says it; None where there was no answer.

    Only from its place in the text: the rest has ports, times and ids, in which any three digits turn up.
    """
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what storage raises into one line: a refused request, or a StorageError worth a retry."""
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
    """What an error means; None where it is none of storage's."""
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
    """What S3 refused, so that trying again cannot help; None where it may."""
    text, status = str(error), http_status(error)
    if "NoSuchBucket" in text:
        return RequestError(f"{url}: no such bucket")
    if "list request" in text and status == 404:
        return not_s3(url)
    if status in {401, 403} or "PermissionDenied" in type(error).__name__:
        return RequestError(
            f"{url}: access refused; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and the "
            f"policy of the bucket{note}"
        )
    return None


def in_words(error: BaseException) -> str:
    """What a library says, in one line without secrets, which are taken out of the error itself as well."""
    redact(error)
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    # obstore says it again after an empty line; delta-rs puts each cause in a line, with an arrow in colour.
    lines = re.sub(r"\x1b\[[0-9;]*m|↳", "", text.partition("\n\n")[0]).splitlines()
    return redacted(": ".join(line.strip(" :") for line in lines if line.strip())[:400])


def proxy_note(url: str, error: BaseException | None = None) -> str:
    """What an error adds where a proxy stands before the endpoint and S3 itself did not answer, or nothing."""
    if not is_remote(url) or "<Code>" in str(error):
        return ""
    try:
        found = settings()
    except SkinmlError:  # an error of its own, which is said where it matters
        return ""
    if found.proxy is None or not found.proxy.used:
        return ""
    return (
        f"; asked through the proxy {found.proxy.host} ({found.proxy.variable}): where it should not be, add "
        f"{urlsplit(found.endpoint).hostname} to NO_PROXY"
    )


def not_s3(url: str) -> RequestError:
    """The refusal of an endpoint that answers as no S3 server does."""
    found = settings()
    return RequestError(
        f"{url}: what answers at {found.endpoint} (from {found.endpoint_source}) is not S3{proxy_note(url)}"
    )


def check_answers(url: str) -> None:
    """Make sure that it is S3 that found nothing: obstore and delta-rs take a login page for an empty listing.

    Such a page answers everything, also whether an object exists that nobody can have put.

    Raises:
        RequestError: it is not.
    """
    import obstore

    store, prefix = split(url, retries=0)
    try:
        obstore.head(store, f"{prefix}/.{secrets.token_hex(16)}".lstrip("/"))
    except Exception:  # not found, not allowed, not now: no login page says so
        return
    raise not_s3(url)


@cache
def file_system() -> Any:
    """The s3fs file system, for what obstore does not do: whole files, odd keys, uploads in parts."""
    import s3fs

    found = settings()
    # Credentials that end are left to s3fs, which finds the same ones and renews them by itself.
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
        skip_instance_cache=True,  # it would give back one that has older credentials
    )
