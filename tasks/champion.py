"""The stage that decides whether a new version becomes the first champion."""

from __future__ import annotations

import logging

from skinml.errors import RequestError
from skinml.models.decide import crown_first
from skinml.models.floors import Floors
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision
from skinml.records.runs import Run
from tasks.stage import stage

logger = logging.getLogger("skinml.models")


@stage("decide on the champion")
def decide_first(workspace: str, manifest: Manifest, floors: Floors, run: Run) -> Decision | None:
    """Make the version champion if there is none and it meets the floors; None if nothing was decided."""
    try:
        decision = crown_first(workspace, manifest, floors, run.run_id)
    except (
        RequestError
    ) as error:  # such as a record that somebody broke: the version is registered all the same
        logger.warning("no decision about the champion: %s", error)
        return None
    if decision is None:
        logger.info("another version is champion, and train replaces none: see skinml models promote")
    elif decision.decision == "kept":
        logger.warning(
            "%s is not champion, and there is none: %s; train a better version, or run"
            " skinml models promote %s --force",
            *(manifest.version, decision.reason, manifest.version),
        )
    else:
        logger.info("%s is champion: %s", manifest.version, decision.reason)
    return decision
