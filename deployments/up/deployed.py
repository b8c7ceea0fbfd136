"""Deploy only what has changed: what somebody has set in the UI stays until then."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.up.api import Api
from deployments.up.deploy import Plan, deploy
from deployments.up.reconcile import TAG
from deployments.up.state import Home
from skinml import __version__

logger = logging.getLogger("skinml.up")


@dataclass(frozen=True)
class _Record:
    """What was deployed last: a digest of the plan, and what was paused because it was not in it."""

    digest: str = ""
    paused: tuple[str, ...] = ()


def bring_up_to_date(
    home: Home, api: Api, plan: Plan, environment: Mapping[str, str], values: Mapping[str, str]
) -> None:
    """Deploy the plan if it has changed, and pause deployments of ours that are not in it any more.

    Args:
        home: has the record of last time.
        api: of the server.
        plan: what is to be deployed.
        environment: of Prefect's command.
        values: the variables that the plan names.
    """
    text = json.dumps([__version__, plan.file, dict(values)], sort_keys=True, default=str)
    record, digest = _read(home), hashlib.sha256(text.encode()).hexdigest()
    known = {str(one["name"]): one for one in _ours(api)}
    if record.digest == digest and set(plan.names) <= set(known):
        logger.info("the deployments are as they were")
        return
    logger.info("deploying %s", ", ".join(plan.names))
    deploy(home, plan, environment, values)
    resumed = [name for name in record.paused if name in plan.names and name in known]
    for name in resumed:
        api.post(f"/deployments/{known[name]['id']}/resume_deployment")
    surplus = [name for name, one in known.items() if name not in plan.names and not one["paused"]]
    for name in surplus:
        api.post(f"/deployments/{known[name]['id']}/pause_deployment")
        logger.warning("%s was deployed earlier and is not now: paused", name)
    paused = [*(name for name in record.paused if name not in plan.names), *surplus]
    _write(home, _Record(digest, tuple(paused)))


def _ours(api: Api) -> list[dict[str, Any]]:
    return api.all("/deployments/filter", deployments={"tags": {"all_": [TAG]}})


def _read(home: Home) -> _Record:
    try:
        found = json.loads(home.deployed.read_text(encoding="utf-8"))
        return _Record(str(found["digest"]), tuple(map(str, found["paused"])))
    except (OSError, ValueError, KeyError, TypeError):
        return _Record()


def _write(home: Home, record: _Record) -> None:
    text = json.dumps({"digest": record.digest, "paused": record.paused})
    home.deployed.write_text(text, encoding="utf-8")
