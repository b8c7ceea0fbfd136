"""Tests of deployments/kubernetes: Kubernetes' schemas, closed pods, pinned images, and who may talk to whom.

They need kubectl, which builds the manifests without a cluster.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.services.dask_cluster_schema import problem_of_standard

FOLDER = REPOSITORY / "deployments" / "kubernetes"
BUILDS = ("base", "overlays/gpu", "overlays/operator")

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


@cache
def built(name: str) -> tuple[dict[str, Any], ...]:
    """All resources of a base or an overlay."""
    done = subprocess.run(["kubectl", "kustomize", FOLDER / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def pods(name: str) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Name, spec and labels of every pod."""
    for one in built(name):
        if "template" in one.get("spec", {}):
            template = one["spec"]["template"]
            yield one["metadata"]["name"], template["spec"], template["metadata"]["labels"]


@pytest.mark.parametrize("build", BUILDS)
def test_kubernetes_accepts_every_resource(build: str) -> None:
    for one in built(build):
        assert problem_of_standard(one) is None, one["metadata"]["name"]
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "skinml"


@pytest.mark.parametrize("build", BUILDS)
def test_every_pod_is_closed(build: str) -> None:
    for name, spec, _ in pods(build):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        token = spec["automountServiceAccountToken"]
        starts_clusters = build == "overlays/operator" and name in ("worker", "retrain-worker")
        assert token is starts_clusters, f"{name} has no use for a token"
        assert spec["serviceAccountName"] != "default"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec.get("volumes", []) if "hostPath" in volume]
        for container in spec["containers"]:
            closed = container["securityContext"]
            assert closed["readOnlyRootFilesystem"] is True, name
            assert closed["allowPrivilegeEscalation"] is False
            assert closed["capabilities"] == {"drop": ["ALL"]}
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][kind].keys(), name
            assert re.search(r":v?\d+\.\d+", container["image"]), f"{container['image']} has no version"
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in mounts  # noqa: S108 - in the pod


@pytest.mark.parametrize("build", BUILDS)
def test_every_service_has_probes(build: str) -> None:
    for one in built(build):
        if one["kind"] in {"Deployment", "StatefulSet"}:
            [container] = one["spec"]["template"]["spec"]["containers"]
            assert "livenessProbe" in container, one["metadata"]["name"]


@pytest.mark.parametrize("build", BUILDS)
def test_secrets_are_named_and_have_no_values(build: str) -> None:
    assert not [one for one in built(build) if one["kind"] == "Secret"]
    for name, spec, _ in pods(build):
        for container in spec["containers"]:
            for variable in container.get("env", []):
                if re.search(r"PASSWORD|SECRET|AUTH|KEY", variable["name"]):
                    assert "value" not in variable, f"{name}: {variable['name']}"
                    assert variable["valueFrom"]["secretKeyRef"]


def test_the_gpu_worker_asks_for_a_gpu_and_serves_its_pool() -> None:
    [(_, spec, _)] = [one for one in pods("overlays/gpu") if one[0] == "gpu-worker"]
    [container] = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["args"][:2] == ["--pool", "gpu"]
    assert container["image"].startswith("skinml/train:")
    assert container["image"].endswith("-gpu")


@pytest.mark.parametrize("build", BUILDS)
def test_retrainings_have_a_worker_of_their_own_that_can_train(build: str) -> None:
    containers = {name: spec["containers"][0] for name, spec, _ in pods(build)}
    assert containers["worker"]["args"][:2] == ["--pool", "skinml"]
    assert containers["retrain-worker"]["args"][:2] == ["--pool", "retrain"]
    assert re.fullmatch(r"skinml/train:[\d.]+", containers["retrain-worker"]["image"]), "without a GPU"


# Who may talk to whom


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "these tests understand nothing else"
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def allows(build: str, source: dict[str, str], target: dict[str, str], port: int) -> bool:
    """Whether the policies let a pod open a connection to another: out of the first and into the second."""
    return _one_way(build, "Egress", source, target, port) and _one_way(build, "Ingress", target, source, port)


def _one_way(build: str, way: str, whose: dict[str, str], peer: dict[str, str], port: int) -> bool:
    rules, peers = ("egress", "to") if way == "Egress" else ("ingress", "from")
    policies = [one["spec"] for one in built(build) if one["kind"] == "NetworkPolicy"]
    applying = [one for one in policies if way in one["policyTypes"] and selects(one["podSelector"], whose)]
    if not applying:
        return True  # what no policy selects is open
    return any(
        any(
            "podSelector" in one and "namespaceSelector" not in one and selects(one["podSelector"], peer)
            for one in rule[peers]
        )
        and (not rule.get("ports") or port in [one["port"] for one in rule["ports"]])
        for policy in applying
        for rule in policy.get(rules, [])
    )


def of_the_operator(component: str) -> dict[str, str]:
    return {"dask.org/component": component, "dask.org/cluster-name": "skinml-x"}


ALLOWED = {
    ("prefect", "postgres", 5432),
    ("deploy", "prefect", 4200),
    ("worker", "prefect", 4200),
    ("worker", "dask-scheduler", 8786),
    ("retrain-worker", "prefect", 4200),
    ("retrain-worker", "dask-scheduler", 8786),
    ("gpu-worker", "prefect", 4200),
    ("gpu-worker", "dask-scheduler", 8786),
    ("dask-worker", "dask-scheduler", 8786),
    ("dask-scheduler", "dask-worker", 40000),
    ("dask-worker", "dask-worker", 40000),
}


def test_only_the_connections_that_are_needed_are_possible() -> None:
    labels = {name: labels for name, _, labels in pods("overlays/gpu")}
    found = {
        (source, target, port)
        for source in labels
        for target in labels
        for port in (22, 4200, 5432, 8080, 8786, 8787, 40000)
        if allows("overlays/gpu", labels[source], labels[target], port)
    }
    also = {
        (one, "dask-worker", port)
        for one in ("dask-scheduler", "dask-worker")
        for port in (22, 4200, 5432, 8080, 8786, 8787)
    }
    assert found == ALLOWED | also


def test_a_pod_that_nobody_knows_reaches_nothing() -> None:
    stranger = {"app.kubernetes.io/name": "stranger"}
    for build in BUILDS:
        for name, _, labels in pods(build):
            for port in (4200, 5432, 8786, 40000):
                assert not allows(build, stranger, labels, port), name
                assert not allows(build, labels, stranger, port), name


def test_the_operators_clusters_are_closed_too() -> None:
    build = "overlays/operator"
    labels = {name: found for name, _, found in pods(build)}
    deploy = labels["deploy"]
    for worker in (labels["worker"], labels["retrain-worker"]):
        assert allows(build, worker, of_the_operator("scheduler"), 8786)
        assert not allows(build, worker, of_the_operator("worker"), 40000)
    assert allows(build, of_the_operator("worker"), of_the_operator("scheduler"), 8786)
    assert allows(build, of_the_operator("scheduler"), of_the_operator("worker"), 40000)
    assert not allows(build, deploy, of_the_operator("scheduler"), 8786)


def test_nobody_reaches_the_keys_of_a_node() -> None:
    for build in BUILDS:
        for one in built(build):
            if one["kind"] == "NetworkPolicy":
                blocks = [
                    to["ipBlock"]
                    for rule in one["spec"].get("egress", [])
                    for to in rule["to"]
                    if "ipBlock" in to
                ]
                for block in blocks:
                    assert "169.254.169.254/32" in block["except"]


def test_rights_are_those_that_dask_kubernetes_needs_and_in_one_namespace() -> None:
    assert not [one for build in BUILDS for one in built(build) if one["kind"].startswith("ClusterRole")]
    assert not [one for one in built("base") if one["kind"].startswith("Role")]
    [role] = [one for one in built("overlays/operator") if one["kind"] == "Role"]
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {
        "create",
        "delete",
        "get",
        "list",
        "watch",
    }
    assert "secrets" not in {resource for rule in role["rules"] for resource in rule["resources"]}
