"""Connections to buckets, made once a process, and what their errors mean to a person."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from skinml.errors import RequestError, StorageError

if TYPE_CHECKING:
    from obstore.store import S3Store

REQUEST_SECONDS = 60.0
"""One request may take this long: 64 MiB, the largest object that is read, at 1.1 MB/s."""

SILENT_SECONDS = 10.0
"""A connection that brings nothing for so long is given up. Otherwise a stalled body costs all of the above."""


def s3_options() -> dict[str, str]:
    """What delta-rs needs beside the AWS_* variables that it reads by itself."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    options = {"AWS_REGION": os.environ.get("AWS_REGION", "us-east-1")}
    if endpoint.startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    return options


@cache
def bucket(name: str, retries: int = 6) -> S3Store:
    """The obstore connection to a bucket, which reads keys and endpoint from the AWS_* variables.

    What obstore 0.12.1 tries again by itself, as tests/services/faults.py shows: 5xx, connections that are
    reset or silent, and the body of a GET that breaks off or stalls (it asks for the rest). What it does not:
    the body of a listing, and a conditional put or a deletion whose connection breaks, which may have been
    done. Where that matters, or the time must be bounded, `patience` does it instead, with no retries here.

    Args:
        name: the bucket.
        retries: how often obstore itself tries again: about 2 s in all where each try is refused at once.
    """
    from obstore.store import S3Store

    return S3Store(
        name,
        region=os.environ.get("AWS_REGION", "us-east-1"),
        client_options={
            "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "read_timeout": timedelta(seconds=SILENT_SECONDS),
        },
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


def http_status(error: Exception) -> int | None:
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
    except (RequestError, StorageError):
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{url}: not found") from error
    except PermissionError as error:
        place = error.filename or url
        raise RequestError(f"{place}: permission denied; check who may read and write there") from error
    except OSError as error:
        raise StorageError(f"{url}: {error.strerror or error}") from error
    except Exception as error:
        text = str(error)
        if type(error).__module__.partition(".")[0] not in {"obstore", "botocore", "_obstore"}:
            raise
        status = http_status(error)
        if "NoSuchBucket" in text or ("list request" in text and status == 404):
            raise RequestError(f"{url}: no such bucket") from error
        if status in {401, 403} or "Permission" in type(error).__name__:
            raise RequestError(
                f"{url}: access refused; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy"
            ) from error
        raise StorageError(f"{url}: {text.splitlines()[0][:300]}") from error


@cache
def file_system() -> Any:
    """The s3fs file system, for what obstore does not do: whole files, odd keys, uploads in parts."""
    import s3fs

    # s3fs caches listings for ever by default, and an archive grows.
    return s3fs.S3FileSystem(endpoint_url=os.environ.get("AWS_ENDPOINT_URL"), use_listings_cache=False)
