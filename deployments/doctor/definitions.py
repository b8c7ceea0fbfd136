"""Are the deployments on the server those of this installation: flows, parameters, nothing left over?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deployments import PREFECT_FILE
from deployments.doctor.server import Server
from flows.cli.verbs import VERBS
from skinml.checkup.checks import Finding, failed, ok, warning
from skinml.errors import RequestError
from skinml.storage.urls import normalise

NIGHTLY = "score-nightly"

DEPLOY = 'skinml up, or prefect deploy --prefect-file "$(python -m deployments)" --all'


def check_deployments(server: Server, workspace: str) -> Finding:
    """Every deployment of ours runs a flow of this skinml with parameters that it takes.

    Times are the operator's: they may differ from the shipped file.

    Args:
        server: to ask.
        workspace: the workspace that is checked; "" if none was given.
    """
    shipped = {str(one["name"]): one for one in shipped_deployments()}
    there = {str(one["name"]): one for one in server.deployments}
    if not there:
        return failed("nothing is deployed", DEPLOY)
    wrong = [
        problem
        for name, one in there.items()
        if (problem := _problem(name, one, shipped.get(name))) is not None
    ]
    if wrong:
        return failed("; ".join(wrong), DEPLOY)
    elsewhere = _elsewhere(there, workspace)
    if elsewhere:
        return warning(
            f"{', '.join(elsewhere)}: deployed for another workspace than {workspace}",
            "deploy with SKINML_WORKSPACE set to it, if that is not meant",
        )
    missing = sorted(shipped.keys() - there.keys())
    said = f"{len(there)} are current" + (f"; not deployed: {', '.join(missing)}" if missing else "")
    if NIGHTLY in missing:
        return warning(f"{said}: nothing is scored at night", DEPLOY)
    return ok(said)


def shipped_deployments() -> list[dict[str, Any]]:
    """The deployments of the prefect.yaml of this installation."""
    from ruamel.yaml import YAML  # Prefect reads the file with it

    found: list[dict[str, Any]] = YAML(typ="safe").load(PREFECT_FILE)["deployments"]
    return found


def _problem(name: str, there: Mapping[str, Any], shipped: Mapping[str, Any] | None) -> str | None:
    """What is wrong with one deployment on the server; None if nothing is."""
    entry = _entry(str(there["entrypoint"]))
    if shipped is not None and entry != _entry(str(shipped["entrypoint"])):
        return f"{name}: runs {entry}, here it is {_entry(str(shipped['entrypoint']))}"
    requests = [verb.request for verb in VERBS if verb.entry == entry]
    if not requests:
        return None if shipped is None else f"{name}: this skinml has no flow {entry}"
    if there.get("pull_steps"):
        return f"{name}: has pull steps, so a run changes into the folder where it was deployed"
    try:
        requests[0].model_validate((there["parameters"] or {}).get("request", {}))
    except ValueError as error:  # pydantic's
        said = re.sub(r"\s+", " ", str(error).split("\n", 1)[-1])[:160]
        return f"{name}: this skinml refuses its parameters ({said})"
    return None


def _entry(entrypoint: str) -> str:
    """flows.score.score, flows/score.py:score and flows.score:score as module:function."""
    dotted = entrypoint.replace(".py:", ":").replace("/", ".")
    return dotted if ":" in dotted else ":".join(dotted.rsplit(".", 1))


def _elsewhere(there: Mapping[str, Any], workspace: str) -> list[str]:
    if not workspace:
        return []
    wanted = normalise(workspace)
    found = []
    for name, one in there.items():
        given = str((one["parameters"] or {}).get("workspace", ""))
        try:
            if given and normalise(given) != wanted:
                found.append(name)
        except RequestError:
            found.append(name)
    return found
