"""The explore verb: a page about the prepared samples, and its figures.

Not a flow, because it takes seconds and only reads tables.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from skinml.explanation.write import write_files
from skinml.exploration.explore import explore_samples
from skinml.exploration.folder import check_can_draw, check_folder
from skinml.exploration.page import files_of
from skinml.layout import find_workspace
from skinml.requests.samples import ExploreRequest

logger = logging.getLogger("skinml.explore")


def explore(workspace: str, request: ExploreRequest) -> dict[str, Any]:
    """Count the samples, choose images to look at, and write page and figures.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: where the files go, and the seed of the examples.
    """
    started = time.perf_counter()
    check_can_draw()
    workspace = find_workspace(workspace)
    folder = check_folder(workspace, request.out)
    findings = explore_samples(workspace, request.seed)
    if findings.gone:
        logger.warning("%d of the images to show cannot be read now, or have changed", findings.gone)
    files = write_files(folder, files_of(findings))
    logger.info("open %s in a browser; it shows images: whoever may not see them must not get it", files[0])
    pairs, suspicious = findings.pairs, findings.suspicious
    return {
        "files": files,
        "images": findings.summary.images,
        "lesions": findings.summary.lesions,
        "diagnoses": {str(name): int(count) for name, count in findings.summary.diagnoses["images"].items()},
        "identical_pairs": pairs.identical,
        "near_duplicate_pairs": pairs.near,
        "suspicious_labels": len(suspicious.rows),
        "cannot_be_read": findings.gone,
        "dataset_version": findings.version,
        "seconds": round(time.perf_counter() - started, 3),
    }
