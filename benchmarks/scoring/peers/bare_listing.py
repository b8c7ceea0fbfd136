"""Lists s3://bucket/prefix through obstore, a thousand keys a page, and prints how many there were; no more."""

from __future__ import annotations

import sys

import obstore
from obstore.store import S3Store

PAGE = 1_000

if __name__ == "__main__":
    bucket, _, prefix = sys.argv[1].removeprefix("s3://").partition("/")
    store = S3Store(bucket, client_options={"allow_http": True})
    pages = obstore.list(store, prefix, chunk_size=PAGE, return_arrow=True)
    print(sum(page.num_rows for page in pages))
