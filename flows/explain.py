"""Explain the score of one image. Not a flow, because it takes seconds and only reads tables."""

from __future__ import annotations

import logging
import time
from typing import Any

from skinml.explanation.explain import explain as explain_row
from skinml.explanation.page import files_of
from skinml.explanation.rows import find_scored_image
from skinml.explanation.values import summary_of
from skinml.explanation.write import check_folder, write_files
from skinml.layout import find_workspace
from skinml.requests.explanation import ExplainRequest

logger = logging.getLogger("skinml.explain")


def explain(workspace: str, request: ExplainRequest) -> dict[str, Any]:
    """Trace a row of `scores` back to its cause, draw what the network used, and write page and pictures.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: which image, and which of its rows.
    """
    started = time.perf_counter()
    workspace = find_workspace(workspace)
    scored = find_scored_image(workspace, request.image_id, request.model, request.run)
    folder = check_folder(workspace, scored, request.out)
    about = explain_row(workspace, scored, request.dx)
    for note in about.notes:
        logger.warning(note)
    files = write_files(folder, files_of(about))
    return {"files": files, **summary_of(about), "seconds": round(time.perf_counter() - started, 3)}
