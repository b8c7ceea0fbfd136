"""List the quarantine by reason or image by image. Not a flow, because it only reads a table."""

from __future__ import annotations

from typing import Any

from skinml.layout import find_workspace
from skinml.records.quarantine import by_reason, in_quarantine, one_by_one
from skinml.requests.scoring import QuarantineRequest


def list_quarantine(workspace: str, request: QuarantineRequest) -> dict[str, Any]:
    """What is in quarantine now, counted by reason or image by image.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: which images.
    """
    found = in_quarantine(find_workspace(workspace), request.flow, request.reason, request.run)
    return {"rows": one_by_one(found) if request.images else by_reason(found), "images": len(found)}
