"""Fetch pre-trained weights from the internet into Keras's own cache, once."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from pathlib import Path

from skinml.errors import RequestError
from skinml.models.zoo.base import Download

TIMEOUT_SECONDS = 30.0
MOST_BYTES = 1 << 30
"""The largest file here has 24 MB."""


def fetch(weights: Download) -> bytes:
    """The file, once its MD5 is the one that Keras pins. It is kept in Keras's cache, and read from there.

    Raises:
        RequestError: it is not in the cache and cannot be fetched, or it is another file.

    """
    name = weights.source.rpartition("/")[2]
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models" / name
    if cache.is_file() and _is_whole(data := cache.read_bytes(), weights):
        return data
    advice = f"fetch {weights.source} elsewhere and give --weights PATH, or --weights none"
    try:
        with urllib.request.urlopen(weights.source, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - of the zoo
            data = bytes(answer.read(MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise RequestError(f"--weights imagenet: {name} cannot be fetched ({reason}): {advice}") from error
    if not _is_whole(data, weights):
        raise RequestError(f"--weights imagenet: {name} came with another MD5 than Keras names: {advice}")
    _keep(cache, data)
    return data


def _is_whole(data: bytes, weights: Download) -> bool:
    return hashlib.md5(data, usedforsecurity=False).hexdigest() == weights.md5


def _keep(cache: Path, data: bytes) -> None:
    """Put the file into the cache in one step; a cache that cannot be written to costs another download."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache.parent, delete=False) as file:
            file.write(data)
        Path(file.name).replace(cache)
    except OSError:
        return
