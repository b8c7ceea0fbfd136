"""What Kubernetes would say of a DaskCluster: the operator's own schema, and Kubernetes' for its pods."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import dask_kubernetes
import jsonschema
import kubernetes_validate
import yaml

CRD = "operator/deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"

KUBERNETES_VERSION = "1.33"
"""The version whose schemas are asked."""


def problem_of(resource: dict[str, Any]) -> str | None:
    """The first thing that is wrong with a DaskCluster; None if nothing is."""
    error = jsonschema.exceptions.best_match(_operators_schema().iter_errors(resource))
    if error is not None:
        return str(error.message)
    for part in ("worker", "scheduler"):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": part},
            "spec": resource["spec"][part]["spec"],
        }
        problem = problem_of_standard(pod)
        if problem:
            return f"{part}: {problem}"
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "scheduler"}}
    return problem_of_standard({**service, "spec": resource["spec"]["scheduler"]["service"]})


@cache
def _operators_schema() -> jsonschema.Draft7Validator:
    crd = yaml.load((Path(dask_kubernetes.__file__).parent / CRD).read_bytes(), Loader=yaml.CSafeLoader)
    return jsonschema.Draft7Validator(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def problem_of_standard(resource: dict[str, Any]) -> str | None:
    """The first thing that is wrong with a resource of Kubernetes' own kinds, unknown keys included."""
    try:
        kubernetes_validate.validate(resource, KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(map(str, error.path))
        return f"{place}: {error.message}"
    return None
