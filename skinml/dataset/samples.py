"""Find the version of the table `samples` to train on."""

from __future__ import annotations

from skinml import tables
from skinml.errors import RequestError


def samples_version(workspace: str) -> int:
    """Return the newest version of `samples`. Raises RequestError if nothing was prepared yet."""
    version = tables.version(workspace, "samples")
    if version is None:
        raise RequestError(f"{workspace}: no samples yet; run skinml prepare first")
    return version
