"""Use s3fs for keys that obstore refuses, such as `a//b.jpg` or one with a newline in it.

obstore refuses a key with an empty segment, `.`, `..` or an ASCII control character. One such key makes it
refuse the whole listing, and it cannot read the object. s3fs accepts any key, but takes 2 ms of CPU for an
object instead of 0.1 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from skinml.storage.connection import REQUEST_SECONDS, bucket_and_key, file_system

if TYPE_CHECKING:
    import pyarrow as pa


def list_pages(url: str, after: str | None, page_size: int) -> Iterator[pa.Table]:
    """Yield the objects below a prefix, a page at a time.

    Args:
        url: s3://bucket/prefix.
        after: the key after which to begin; None begins with the first one.
        page_size: objects in a page; S3 gives no more than 1,000.

    Yields:
        path (the whole key), e_tag (with its quotes), size (bytes), last_modified (UTC), as obstore has them.
    """
    import pyarrow as pa

    name, prefix = bucket_and_key(url)
    asked: dict[str, Any] = {"Bucket": name, "Prefix": f"{prefix}/" if prefix else "", "MaxKeys": page_size}
    if after is not None:
        asked["StartAfter"] = after
    while True:
        page = file_system().call_s3("list_objects_v2", **asked)
        found = page.get("Contents", [])
        yield pa.table(
            {
                "path": pa.array([item["Key"] for item in found], pa.string()),
                "e_tag": pa.array([item["ETag"] for item in found], pa.string()),
                "size": pa.array([item["Size"] for item in found], pa.int64()),
                "last_modified": pa.array(
                    [item["LastModified"] for item in found], pa.timestamp("us", tz="UTC")
                ),
            }
        )
        if not page.get("IsTruncated"):
            return
        if not found:
            asked["ContinuationToken"] = page["NextContinuationToken"]
            continue
        # Not the token: SeaweedFS makes it from the last key, with characters that XML cannot hold replaced,
        # and would then skip or repeat objects.
        asked["StartAfter"] = found[-1]["Key"]
        asked.pop("ContinuationToken", None)


def head(url: str) -> tuple[str, int, datetime]:
    """Return one object's etag, size in bytes and time of last modification."""
    name, key = bucket_and_key(url)
    answer = file_system().call_s3("head_object", Bucket=name, Key=key)
    return str(answer["ETag"]), int(answer["ContentLength"]), answer["LastModified"]


def get(url: str, most: int) -> tuple[bytes, str]:
    """Return at most the first `most` bytes of one object, and its etag.

    Takes at most REQUEST_SECONDS, including the retries of s3fs and botocore.
    """
    from fsspec.asyn import sync

    name, key = bucket_and_key(url)
    files = file_system()

    async def whole() -> tuple[bytes, str]:
        answer = await files._call_s3("get_object", Bucket=name, Key=key)
        async with answer["Body"] as body:
            return await body.read(most), str(answer["ETag"])

    async def in_time() -> tuple[bytes, str]:
        return await asyncio.wait_for(whole(), REQUEST_SECONDS)

    data, etag = sync(files.loop, in_time)
    return bytes(data), etag
