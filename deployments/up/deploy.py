"""Deploy the shipped prefect.yaml: work pools, flows and schedules, with what `up` was told filled in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from deployments import PREFECT_FILE
from deployments.up.api import Api
from deployments.up.state import Home
from deployments.up.wrong import check_cron
from flows.cli.verbs import VERBS
from skinml.errors import RequestError, RunError
from skinml.requests.base import Request, asked_as
from skinml.storage.redaction import redacted
from skinml.strict_json import first_problem

POOLS = {
    "skinml": "CPU work: scoring, preparing, upkeep.",
    "retrain": "Retrainings, which take hours: nights do not wait for them.",
    "gpu": "Training, on machines with a GPU.",
}
NIGHTLY, RETRAIN = "score-nightly", "retrain"
APART = "nights wait until a retraining ends; put it into the work pool retrain, as in the shipped prefect.yaml"

_VARIABLE = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")


@dataclass(frozen=True)
class Plan:
    """What is to be deployed.

    Attributes:
        file: the content of a prefect.yaml.
        names: its deployments.
        left_out: deployments that were not given all they need, and what is missing.
    """

    file: dict[str, Any]
    names: tuple[str, ...]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def of_pool(self, pool: str) -> list[str]:
        """The deployments whose runs a worker of this pool starts."""
        return [str(one["name"]) for one in self.file["deployments"] if one["work_pool"]["name"] == pool]

    def pools_here(self, gpu: bool) -> list[str]:
        """The work pools that need a worker on this machine.

        Args:
            gpu: whether this machine is to train; otherwise another one may.
        """
        used = [pool for pool in ("skinml", "retrain") if pool == "skinml" or self.of_pool(pool)]
        return [*used, *(["gpu"] if gpu else [])]

    @property
    def nights_wait_for_retrainings(self) -> bool:
        """Whether one worker runs both, as in copies of the file of earlier versions."""
        return any({NIGHTLY, RETRAIN} <= {*self.of_pool(pool)} for pool in POOLS)


def read_plan(
    shipped: Path, values: Mapping[str, str], nightly: str | None = None, timezone: str | None = None
) -> Plan:
    """Change a prefect.yaml as `up` was told.

    Args:
        shipped: the file; may be the user's copy.
        values: the variables that it may name, such as SKINML_ARCHIVE. An empty one was not given.
        nightly: cron of score-nightly; None for the file's.
        timezone: of all schedules; None for the file's.

    Raises:
        RequestError: it cannot be read, is no prefect.yaml, or names a work pool that `up` does not make.
    """
    try:
        file = YAML(typ="safe").load(shipped)
        deployments = [dict(one) for one in file["deployments"]]
        names = [str(one["name"]) for one in deployments]
        pools = {str(one["name"]): str(one["work_pool"]["name"]) for one in deployments}
    except OSError as error:
        raise RequestError(f"--deployments {shipped}: {error.strerror}; name a prefect.yaml") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"--deployments {shipped}: not YAML: {' '.join(str(error).split())}") from error
    except (KeyError, TypeError, AttributeError) as error:
        said = "it needs `deployments`, each with `name` and `work_pool`"
        raise RequestError(f"--deployments {shipped}: not a prefect.yaml: {said}") from error
    for name, pool in pools.items():
        if pool not in POOLS:
            raise RequestError(
                f"--deployments {shipped}: {name} is for the work pool {pool!r}, which does not exist; "
                f"skinml up has {', '.join(POOLS)}"
            )
    missing = {str(one["name"]): _missing(one, values) for one in deployments}
    chosen = [one for one in deployments if not missing[str(one["name"])]]
    for one in chosen:
        for schedule in one.get("schedules") or ():
            if timezone is not None:
                schedule["timezone"] = timezone
            if nightly is not None and one["name"] == NIGHTLY:
                schedule["cron"] = nightly
            if "cron" in schedule and shipped != PREFECT_FILE:  # checking loads Prefect
                check_cron(str(schedule["cron"]), f"{shipped}: {one['name']}")
    left_out = {name: missing[name] for name in names if missing[name]}
    return Plan({**file, "deployments": chosen}, tuple(str(one["name"]) for one in chosen), left_out)


def named_variables(shipped: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """The values of all variables that the deployments of a file name; "" for those that are not set."""
    named = [name for text in _texts(shipped["deployments"]) for name in _VARIABLE.findall(text)]
    return {name: environment.get(name, "") for name in sorted(named)}


def check_requests(plan: Plan, values: Mapping[str, str]) -> None:
    """Raise RequestError for a deployment whose runs would all be refused: a wrong value of a variable."""
    for one in plan.file["deployments"]:
        asked = (one.get("parameters") or {}).get("request")
        model = _request_of(one)
        if model is None or not isinstance(asked, Mapping):
            continue
        filled = {
            name: _VARIABLE.sub(lambda found: values.get(found[1], ""), value)
            if isinstance(value, str)
            else value
            for name, value in asked.items()
        }
        try:
            model.model_validate({name: value for name, value in filled.items() if value != ""})
        except ValidationError as error:
            field = str((error.errors()[0]["loc"] or ("",))[0])
            variables = _VARIABLE.findall(str(asked.get(field, "")))
            said = f"{' '.join(variables) or 'its request'} is wrong: {first_problem(error)}"
            raise RequestError(f"deployment {one['name']}: {said}") from error


def _request_of(deployment: Mapping[str, Any]) -> type[Request] | None:
    """The request of a deployment's flow; None if it is no verb's."""
    module, _, function = str(deployment.get("entrypoint")).rpartition(".")
    return next((verb.request for verb in VERBS if verb.entry == f"{module}:{function}"), None)


def make_pools(api: Api) -> None:
    """Make the work pools that do not exist yet. Others, and changes made in the UI, stay as they are."""
    known = {pool["name"] for pool in api.all("/work_pools/filter")}
    for name, description in POOLS.items():
        if name not in known:
            api.post("/work_pools/", name=name, type="process", description=description)


def deploy(home: Home, plan: Plan, environment: Mapping[str, str], values: Mapping[str, str]) -> None:
    """Deploy everything in the plan by Prefect's own command, as a person would.

    Raises:
        RunError: it failed, with the last that it said.
    """
    with home.deployments.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(plan.file, file)
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy"]
    done = subprocess.run(  # noqa: S603
        [*command, "--prefect-file", str(home.deployments), "--all"],
        env={**environment, **values, "COLUMNS": "200"},
        cwd=home.empty,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (home.logs / "deploy.log").write_text(redacted(done.stdout), encoding="utf-8")
    if done.returncode != 0:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        said = redacted(lines[-1] if lines else "nothing")
        raise RunError(f"the deployments could not be made: {said}; see {home.logs / 'deploy.log'}")


def _missing(deployment: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """The variables without a value that stand for the workspace or for what the flow's request must have."""
    parameters = dict(deployment.get("parameters") or {})
    asked = parameters.get("request")
    model = _request_of(deployment)
    if model is not None and isinstance(asked, Mapping):
        fields = {asked_as(*item): item[1] for item in model.model_fields.items()}
        parameters["request"] = [
            one for name, one in asked.items() if name not in fields or fields[name].is_required()
        ]
    named = [name for text in _texts(parameters) for name in _VARIABLE.findall(text)]
    return [name for name in dict.fromkeys(named) if not values.get(name)]


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
