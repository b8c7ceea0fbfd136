"""What the tests of services share."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from prefect.concurrency.services import ConcurrencySlotAcquisitionWithLeaseService
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server import Server
from tasks.orchestration import DRAIN_SECONDS, begin_with_prefect
from tests.services.site import Site, running_site

LINES = 80
"""Of the server's log, at the end of the report of a test that failed on it."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the Prefect server has logged, without its list of requests."""
    report = yield
    server = item.funcargs.get("prefect_server")
    if report.failed and isinstance(server, Server):
        said = server.log.read_text(encoding="utf-8", errors="replace").splitlines()
        shown = [line for line in said if line.strip() and not line.startswith("INFO: ")]
        report.sections.append(("the Prefect server's log", "\n".join(shown[-LINES:])))
    return report


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site of this process."""
    with running_site(tmp_path_factory.mktemp("site")) as started:
        yield started


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """A Prefect server with deployments and automations of ours. Tests leave them as they were."""
    with temporary_settings({PREFECT_API_URL: shared_site.server.url}):
        yield shared_site


@pytest.fixture(autouse=True)
def _prefect_as_at_the_start() -> Iterator[None]:
    """No test inherits what another one has left in this process: clients of another server, or none at all."""
    yield
    begin_with_prefect()
    ConcurrencySlotAcquisitionWithLeaseService.drain_all(timeout=DRAIN_SECONDS, at_exit=False)
