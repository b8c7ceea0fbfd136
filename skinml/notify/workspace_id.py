"""The name of a workspace in events: a hash of its URL, because events may leave the clinic."""

from __future__ import annotations

import hashlib

from skinml.storage.urls import normalise


def resource_of(workspace: str) -> str:
    """The id of a workspace as the resource of an event.

    Args:
        workspace: folder or s3://bucket/prefix, as the user wrote it.

    Example:
        >>> resource_of("s3://clinic/skinml"), resource_of("s3://clinic//skinml/")
        ('skinml.workspace.ec0843f2cec4c0b0', 'skinml.workspace.ec0843f2cec4c0b0')
    """
    digest = hashlib.sha256(normalise(workspace).encode("utf-8", "surrogatepass")).hexdigest()
    return f"skinml.workspace.{digest[:16]}"
