"""What of a request can be refused before Prefect is loaded: one check a verb, named in the table of verbs.

Prefect takes two seconds of CPU to import. A check calls the same functions of skinml as the flow does, so that
both refuse in the same words. It writes nothing. The flow checks again, because deployments call it directly.
"""

from __future__ import annotations

from skinml.requests.training import TrainRequest
from skinml.training.installed import check_installed


def train(workspace: str, request: TrainRequest) -> None:
    """Refuse to train where a library is missing."""
    check_installed()
