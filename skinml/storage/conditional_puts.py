"""Check that a store honours conditional puts (If-None-Match); without them, concurrent commits lose rows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from skinml.errors import RequestError, SkinmlError
from skinml.storage.connection import bucket_and_key, explained, file_system, http_status, split
from skinml.storage.removal import delete
from skinml.storage.retry import retrying

if TYPE_CHECKING:
    from obstore import PutResult
    from obstore.store import S3Store

PROBE = ".conditional-puts"
TEXT = b"skinml puts this to see whether the store honours If-None-Match, and deletes it again.\n"

TIMES = 3
"""A store is refused if this many puts all succeed. Not 2: another run may delete its probe in between."""


def check_conditional_puts(workspace: str) -> None:
    """Refuse a store that overwrites an object which it should only create.

    Puts a probe object with If-None-Match, then puts it again. A correct store refuses the second put. The
    probe is deleted afterwards, and so is its version if the bucket keeps versions. If the key may not delete,
    the probe stays, and later runs then need only one request.

    Args:
        workspace: s3://bucket/prefix.

    Raises:
        RequestError: the store ignores or does not support If-None-Match, or the key may not write there.
        StorageError: storage failed.
    """
    from obstore.exceptions import PermissionDeniedError

    url = f"{workspace}/{PROBE}"
    store, key = split(url, retries=0)
    made: list[PutResult] = []
    try:
        with explained(url):
            while len(made) < TIMES and (result := _create(url, store, key)) is not None:
                made.append(result)
    except NotImplementedError as error:  # of obstore
        raise _refusal(workspace, "they are switched off by AWS_CONDITIONAL_PUT") from error
    except SkinmlError as error:
        if isinstance(error.__cause__, PermissionDeniedError):
            raise RequestError(
                f"workspace {workspace}: this key may list it but not write to it; the key needs s3:PutObject"
            ) from error
        if error.__cause__ is not None and http_status(error.__cause__) == 501:
            raise _refusal(workspace, "it answers 501") from error
        raise
    finally:
        _delete(url, made)
    if len(made) == TIMES:
        raise _refusal(workspace, "it overwrites what is there")


def _create(url: str, store: S3Store, key: str) -> PutResult | None:
    """Create the probe; return None if there already is one."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    try:
        return retrying(lambda: obstore.put(store, key, TEXT, mode="create"), what=url)
    except AlreadyExistsError:
        return None


def _delete(url: str, made: list[PutResult]) -> None:
    """Delete the probes. obstore cannot delete a version; s3fs can, but takes half a second to import."""
    name, key = bucket_and_key(url)
    versions = [result["version"] for result in made if result["version"]]
    with suppress(Exception):  # a probe that is not allowed to be deleted does no harm
        for version in versions:
            file_system().call_s3("delete_object", Bucket=name, Key=key, VersionId=version)
        if made and not versions:
            delete([url])


def _refusal(workspace: str, why: str) -> RequestError:
    return RequestError(
        f"workspace {workspace}: this store does not honour conditional puts (If-None-Match): {why}; two "
        "runs that commit at once would lose rows; use a store that does (AWS S3, SeaweedFS), or a folder"
    )
