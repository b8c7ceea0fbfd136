"""Keys that obstore cannot name, such as `a//b.jpg` or one with a newline in it, through s3fs instead.

obstore refuses a key with an empty segment, `.`, `..` or an ASCII control character. One of them makes it
refuse the whole listing, and it has no way to ask for the object. The S3 calls of s3fs take any key, at 2 ms of
this process for an object instead of 0.1 ms.
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
    """What lies below a prefix, a page at a time.

    Args:
        url: s3://bucket/prefix.
        after: the key behind which to begin; None for the first one.
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
        # Not the token: SeaweedFS makes it of the last key, mangled where XML cannot say it, and would lose
        # or repeat what lies between the two.
        asked["StartAfter"] = found[-1]["Key"]
        asked.pop("ContinuationToken", None)


def head(url: str) -> tuple[str, int, datetime]:
    """One object's etag, bytes and time of its last modification."""
    name, key = bucket_and_key(url)
    answer = file_system().call_s3("head_object", Bucket=name, Key=key)
    return str(answer["ETag"]), int(answer["ContentLength"]), answer["LastModified"]


def get(url: str, most: int) -> tuple[bytes, str]:
    """One object: its bytes, no more than `most` of them, and its etag.

    One try takes at most REQUEST_SECONDS, whatever s3fs and botocore try again by themselves.
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
