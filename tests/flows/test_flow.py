"""Flows without and with Prefect: what a run loads, and what Prefect finds by the name of a deployment."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import prefect
import pytest
from prefect.flows import load_flow_from_entrypoint

from flows.flow import flow
from flows.score import score
from tests import fresh
from tests.fresh import Fresh


@pytest.fixture
def process(shared_workers: None, tmp_path: Path) -> Iterator[Fresh]:
    """A process that has loaded nothing but the command line."""
    (tmp_path / "said").mkdir()
    with fresh.running(tmp_path / "said") as started:
        yield started


def test_a_run_without_a_server_loads_no_prefect(
    night: Path, process: Fresh, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "new.jpg").write_bytes(jpeg(70))
    asked = ["--workspace", str(night), "--json", "score", "--archive", str(archive)]
    first, second = process.run(asked), process.run([*asked, "--cluster", "local"])  # which is not needed
    assert '"scored": 1,' in first.stdout, first.stderr
    assert '"skipped": 1,' in second.stdout, second.stderr
    assert "no Prefect server configured" in first.stderr
    for done, absent in ((first, {"prefect"}), (second, {"prefect", "dask", "distributed", "rich"})):
        assert not absent & {name.partition(".")[0] for name in done.modules}


def test_prefect_finds_a_flow_by_the_name_of_its_function() -> None:
    """As its worker and `prefect deploy` do."""
    for entrypoint in ("flows.score.score", "flows/score.py:score"):
        found: Any = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        assert isinstance(found, prefect.Flow)
        assert (found.name, found.retries, found.should_validate_parameters) == ("score", 0, False)
    assert list(score.parameters.properties) == ["workspace", "request"]
    assert score.with_options(name="other").name == "other"


def test_a_flow_is_its_function_until_prefect_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @flow(name="adds")
    def add(left: int, right: int) -> dict[str, Any]:
        """Add."""
        return {"sum": left + right}

    monkeypatch.setattr(prefect, "flow", lambda *_, **__: pytest.fail("Prefect's flow was made"))
    assert add.fn(1, right=2) == {"sum": 3}
    assert (cast(Any, add).__name__, add.__doc__) == ("add", "Add.")
    assert copy.copy(add).fn is add.fn
    monkeypatch.undo()
    assert isinstance(add, prefect.Flow)
    assert add.name == "adds"
    with pytest.raises(TypeError, match="a flow stays a flow"):
        add.__class__ = prefect.Flow
