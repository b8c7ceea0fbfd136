"""What the tests of services share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.concurrency.services import ConcurrencySlotAcquisitionWithLeaseService

from tasks.orchestration import DRAIN_SECONDS, begin_with_prefect
from tests.services.site import Site, running_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Prefect server with deployments and automations of ours. Tests leave them as they were."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(autouse=True)
def _prefect_as_at_the_start() -> Iterator[None]:
    """No test inherits what another one has left in this process: clients of another server, or none at all."""
    yield
    begin_with_prefect()
    ConcurrencySlotAcquisitionWithLeaseService.drain_all(timeout=DRAIN_SECONDS, at_exit=False)
