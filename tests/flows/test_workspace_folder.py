"""A run of `skinml up` makes no workspace where a folder has gone."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.context import FlowRunContext

from skinml.errors import RequestError
from skinml.process.switches import CHILD_OF_UP
from tasks.workspace import open_workspace


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if in a run of a deployment."""
    context = SimpleNamespace(flow_run=SimpleNamespace(deployment_id="0"))
    monkeypatch.setattr(FlowRunContext, "get", classmethod(lambda cls: context))


@pytest.mark.usefixtures("deployed")
def test_a_missing_folder_is_refused_under_up_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is not mounted, or it was moved: `prepare` would fill a second workspace in its place."""
    workspace = tmp_path / "workspace"
    assert inspect.unwrap(open_workspace)(str(workspace)) == str(workspace)
    monkeypatch.setenv(CHILD_OF_UP, "1 /home")
    with pytest.raises(RequestError, match=r"there is no such folder, .* is its disk mounted"):
        inspect.unwrap(open_workspace)(str(workspace))
    assert not workspace.exists()
    workspace.mkdir()
    assert inspect.unwrap(open_workspace)(str(workspace)) == str(workspace)
