"""Write the page of a night. Not a flow, because it only reads tables and can be made again at any time."""

from __future__ import annotations

import time
from typing import Any

from skinml.layout import check_workspace, find_workspace
from skinml.requests.reporting import ReportRequest
from tasks.report import make_page


def report(workspace: str, request: ReportRequest) -> dict[str, Any]:
    """Write the page of a night, its sprites, and the pages over all nights, into the workspace.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: which night; the cluster that makes the thumbnails of a large one.
    """
    started = time.perf_counter()
    workspace = check_workspace(find_workspace(workspace))
    files = make_page(workspace, request.run, request)
    return {"files": files, "seconds": round(time.perf_counter() - started, 3)}
