"""A stand-in for a Kubernetes with the operator of dask-kubernetes: no cluster can be had in tests.

It answers the calls of dask-kubernetes over HTTP, refuses what the operator's own schema refuses, and starts a
real scheduler and real workers for each DaskCluster. Everything else (the client, its waiting, Dask) is real.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.services.dask_cluster_schema import problem_of
from tests.unit.compute import clusters

CLUSTERS = re.compile(
    r"/apis/kubernetes\.dask\.org/v1/namespaces/(?P<namespace>[^/]+)/daskclusters(/(?P<name>[^/]+))?$"
)
CORE = re.compile(r"/api/v1/namespaces/[^/]+/(?P<kind>pods|services)(/(?P<name>[^/]+))?$")


def _kind(name: str, kind: str) -> dict[str, Any]:
    verbs = ["create", "delete", "get", "list", "watch"]
    return {"name": name, "singularName": name[:-1], "kind": kind, "namespaced": True, "verbs": verbs}


DISCOVERY: dict[str, dict[str, Any]] = {
    "/version": {"gitVersion": "v1.33.0", "major": "1", "minor": "33"},
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [_kind("pods", "Pod"), _kind("services", "Service")]},
    "/apis": {
        "groups": [{"name": "kubernetes.dask.org", "versions": [{"groupVersion": "kubernetes.dask.org/v1"}]}]
    },
    "/apis/kubernetes.dask.org/v1": {"resources": [_kind("daskclusters", "DaskCluster")]},
}
"""What clients ask to learn which kinds there are."""


@dataclass
class Kubernetes:
    """The stand-in: its kubeconfig, and what was asked of it.

    Attributes:
        kubeconfig: a file for the variable KUBECONFIG.
        folder: for the logs of schedulers and workers.
        schedules_pods: whether the scheduler's pod ever runs; a cluster without room leaves it pending.
        created: every DaskCluster that was created.
        there: those that are there now, by name, with what runs for each.
    """

    kubeconfig: Path
    folder: Path
    schedules_pods: bool = True
    created: list[dict[str, Any]] = field(default_factory=list)
    there: dict[str, tuple[dict[str, Any], str, ExitStack]] = field(default_factory=dict)

    def create(self, resource: dict[str, Any], namespace: str) -> dict[str, Any]:
        """What operator and kubelets do."""
        name = resource["metadata"]["name"]
        resource["metadata"] |= {
            "namespace": namespace,
            "uid": name,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        resource["status"] = {"phase": "Running"}
        self.created.append(resource)
        running, address = ExitStack(), ""
        if self.schedules_pods:
            folder = self.folder / name
            folder.mkdir()
            address = running.enter_context(clusters.scheduler(folder)).address
            for number in range(resource["spec"]["worker"]["replicas"]):
                running.enter_context(clusters.worker(address, folder, name=f"worker-{number}"))
        self.there[name] = (resource, address, running)
        return resource

    def delete(self, name: str) -> None:
        """End what runs for a cluster."""
        self.there.pop(name)[2].close()

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Status and JSON of one call."""
        if path in DISCOVERY:
            return 200, DISCOVERY[path]
        found = CLUSTERS.match(path)
        if found:
            return self._clusters(method, found["namespace"], found["name"], query, body)
        if path.endswith("/daskworkergroups"):  # dask-kubernetes shows whether there is one
            return 200, {"items": []}
        found = CORE.match(path)
        if found and method == "GET":
            items = (
                self._pods(found["name"], query)
                if found["kind"] == "pods"
                else self._services(found["name"], query)
            )
            return _listed(items, found["name"])
        return 404, {"message": f"nothing at {path}"}

    def _clusters(
        self, method: str, namespace: str, name: str | None, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        name = name or _selected(query, "fieldSelector", "metadata.name")
        if method == "POST":
            problem = problem_of(body)
            return (422, {"message": problem}) if problem else (201, self.create(body, namespace))
        if method == "DELETE" and name in self.there:
            self.delete(name)
            return 200, {"status": "Success"}
        return _listed(
            [one for one, _, _ in self.there.values() if one["metadata"]["name"] == name], name, query
        )

    def _pods(self, name: str | None, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        cluster = (name or "").removesuffix("-scheduler")
        cluster = cluster or _selected(query, "labelSelector", "dask.org/cluster-name") or ""
        if cluster not in self.there or not self.there[cluster][1]:
            return []
        metadata = {
            "name": f"{cluster}-scheduler",
            "namespace": self.there[cluster][0]["metadata"]["namespace"],
        }
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        return [{"metadata": metadata, "status": {"phase": "Running", "conditions": ready}}]

    def _services(self, name: str | None, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        name = name or _selected(query, "fieldSelector", "metadata.name") or ""
        cluster = name.removesuffix("-scheduler")
        if cluster not in self.there:
            return []
        port = int(self.there[cluster][1].rpartition(":")[2])
        # The kind of service that is reached from outside by an address, as the tests' processes are.
        ports = [{"name": "tcp-comm", "port": port}, {"name": "http-dashboard", "port": 1}]
        spec = {
            **self.there[cluster][0]["spec"]["scheduler"]["service"],
            "type": "LoadBalancer",
            "ports": ports,
        }
        metadata = {"name": name, "namespace": self.there[cluster][0]["metadata"]["namespace"]}
        return [
            {"metadata": metadata, "spec": spec, "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}
        ]


def _selected(query: dict[str, list[str]], by: str, key: str) -> str | None:
    pairs = dict(one.split("=", 1) for one in ",".join(query.get(by, [])).split(",") if "=" in one)
    return pairs.get(key)


def _listed(
    items: list[dict[str, Any]], name: str | None, query: dict[str, list[str]] | None = None
) -> tuple[int, Any]:
    if name is None or (query and "fieldSelector" in query):
        return 200, {"items": items}
    return (200, items[0]) if items else (404, {"message": "not found"})


@contextmanager
def running(folder: Path) -> Iterator[Kubernetes]:
    """The stand-in on a free loopback port; ends what still runs for it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = kubernetes.answer(self.command, url.path.rstrip("/"), parse_qs(url.query), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_PATCH = _do  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: Any) -> None:
            with (folder / "calls.log").open("a") as log:
                log.write(f"{format % args}\n")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "test", "user": {"token": "made-up"}}],
    }
    kubernetes = Kubernetes(folder / "kubeconfig.yaml", folder)
    kubernetes.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kubernetes
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for name in list(kubernetes.there):
            kubernetes.delete(name)
