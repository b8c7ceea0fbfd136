"""Tests of skinml/compute/kubernetes.py: the resource, and a stand-in for the API."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from skinml.compute import ClusterSpec, check_cluster, connect, hold, map_shards
from skinml.compute.kinds import check_can_start
from skinml.compute.kubernetes import FILE, manifest
from skinml.errors import RequestError
from tests.conftest import REPOSITORY
from tests.services import kubernetes_api
from tests.services.dask_cluster_schema import problem_of
from tests.unit.compute import work

# kr8s leaves the connections of its HTTP client to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _connections_of_kr8s() -> Iterator[None]:
    """Collect them here: a later test, without the marks above, would fail for them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


EXAMPLE = REPOSITORY / "deployments" / "kubernetes" / "cluster.yaml"


def example(**spec: Any) -> dict[str, Any]:
    """The example's content, with other values in its `spec`."""
    content: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    content["spec"].update(spec)
    return content


def test_the_resource_is_what_operator_and_kubernetes_accept() -> None:
    made = manifest(FILE.model_validate(example()), 3, "0a1b2c3d")
    assert problem_of(made) is None
    assert made["metadata"] == {"name": "skinml-0a1b2c3d", "namespace": "skinml"}
    assert made["spec"]["worker"]["replicas"] == 3
    assert made["spec"]["idleTimeout"] == 3600
    assert made["spec"]["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == "skinml-0a1b2c3d"
    unchanged = example()["spec"]["worker"]["spec"]
    assert made["spec"]["worker"]["spec"] == unchanged


def test_the_schema_notices_a_mistake() -> None:
    """Otherwise the test above would hold for anything."""
    made = manifest(FILE.model_validate(example()), None, "x")
    made["spec"]["worker"]["spec"]["containers"][0]["volumeMount"] = []
    assert "volumeMount" in str(problem_of(made))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "DaskJob"}, "kind: Input should be 'DaskCluster'"),
        ({"metadata": {"name": "Skin_ML"}}, "metadata.name: String should match pattern"),
        ({"metadata": {"name": "a" * 41}}, "metadata.name: String should have at most 40 characters"),
        (
            {"spec": example(idleTimeout=0)["spec"]},
            "spec.idleTimeout: Input should be greater than or equal to 60",
        ),
        ({"spec": example(adaptive=True)["spec"]}, "unknown key spec.adaptive"),
        ({"replicas": 3}, "unknown key replicas"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump({**example(), **change}), encoding="utf-8")
    with pytest.raises(RequestError) as refusal:
        check_can_start(f"kubernetes:{file}", "kubernetes", str(file))
    assert str(refusal.value).startswith(f"--cluster kubernetes:{file}: {said}")
    assert "\n" not in str(refusal.value)


# With a stand-in for the API


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with kubernetes_api.running(tmp_path) as started:
        monkeypatch.setenv("KUBECONFIG", str(started.kubeconfig))
        yield started


def test_a_cluster_is_created_used_and_deleted(kubernetes: kubernetes_api.Kubernetes, tmp_path: Path) -> None:
    spec = ClusterSpec(f"kubernetes:{EXAMPLE}", workers=2)
    with hold(spec) as started:
        assert started.workers == 2
        with connect(spec.address) as client:
            check_cluster(client, str(tmp_path), [], 60)
            assert sorted(map_shards(client, work.square, range(3))) == [0, 1, 4]
        assert len(kubernetes.there) == 1
    [created] = kubernetes.created
    assert created["metadata"]["namespace"] == "skinml"
    assert created["spec"]["worker"]["replicas"] == 2
    assert kubernetes.there == {}


def test_a_failed_run_deletes_its_cluster(kubernetes: kubernetes_api.Kubernetes) -> None:
    with pytest.raises(ZeroDivisionError), hold(ClusterSpec(f"kubernetes:{EXAMPLE}", workers=1)):
        raise ZeroDivisionError
    assert len(kubernetes.created) == 1
    assert kubernetes.there == {}


def test_a_scheduler_that_never_starts_is_not_awaited_for_ever(
    kubernetes: kubernetes_api.Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skinml.compute.kubernetes.START_SECONDS", 1)
    kubernetes.schedules_pods = False
    with (
        pytest.raises(RequestError, match="Kubernetes started no scheduler: TimeoutError; is this machine"),
        hold(ClusterSpec(f"kubernetes:{EXAMPLE}")),
    ):
        pass
    assert len(kubernetes.created) == 1
    assert kubernetes.there == {}


def test_no_kubernetes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(RequestError) as refusal, hold(ClusterSpec(f"kubernetes:{EXAMPLE}")):
        pass
    assert "Kubernetes started no scheduler" in str(refusal.value)
    assert "\n" not in str(refusal.value)
