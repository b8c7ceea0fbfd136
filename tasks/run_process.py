"""Labels of a flow run that say which process runs it."""

from __future__ import annotations

import logging

from skinml.process.identity import LABEL, this_process
from tasks.orchestration import flow_run_context

logger = logging.getLogger("skinml.engine")


def label_run() -> None:
    """Label the flow run that this code is in. If it cannot be labelled, the run goes on without."""
    context = flow_run_context()
    if context is None or context.flow_run is None:
        return
    from prefect.client.orchestration import get_client

    labels = {f"{LABEL}.{name}": value for name, value in this_process().items()}
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(context.flow_run.id, labels)
    except Exception as error:  # the run itself notices a server that is gone
        logger.debug("the run could not be labelled: %s", error)
