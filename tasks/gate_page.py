"""The stage that writes the page of the gate's verdict into a run's report."""

from __future__ import annotations

import logging

from skinml.gate import Verdict
from skinml.models.manifest import Manifest
from skinml.records.runs import Run
from skinml.retraining.unseen import Unseen
from tasks.stage import stage

logger = logging.getLogger("skinml.retrain")


@stage("write the page", tags=("storage",))
def write_page(
    workspace: str, verdict: Verdict, champion: Manifest, challenger: Manifest, unseen: Unseen, run: Run
) -> None:
    """Write the verdict for people: criteria, changed lesions with pictures, images to look at."""
