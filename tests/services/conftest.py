"""What the tests of services share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.site import Site, running_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Prefect server with deployments and automations of ours. Tests leave them as they were."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running
