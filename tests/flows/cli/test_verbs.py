"""The table of verbs against what it names: functions, requests, actions, deployments, and what is printed."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from prefect import Flow
from ruamel.yaml import YAML

from flows.cli.verbs import REQUESTS, VERBS, Verb, imported
from skinml.process.interrupts import Interrupted
from tests.conftest import REPOSITORY

DEPLOYMENTS: list[dict[str, Any]] = YAML(typ="safe").load(REPOSITORY / "deployments" / "prefect.yaml")[
    "deployments"
]


def row_name(verb: Verb) -> str:
    return f"{verb.name} {verb.action or ''}".strip()


@pytest.mark.parametrize("verb", VERBS, ids=row_name)
def test_a_row_names_functions_that_take_its_request(verb: Verb) -> None:
    entry = imported(verb.entry)
    assert isinstance(entry, Flow) == verb.as_flow
    parameters = (
        {"workspace": str, "request": verb.request} if verb.needs_workspace else {"request": verb.request}
    )
    for function in (entry, *([imported(verb.check)] if verb.check else [])):
        plain = function.fn if isinstance(function, Flow) else function
        hints = get_type_hints(plain)
        assert {name: hints[name] for name in inspect.signature(plain).parameters} == parameters
    assert verb.prints


@pytest.mark.parametrize("name", REQUESTS)
def test_a_verb_has_one_request_and_a_row_for_each_action(name: str) -> None:
    rows = [verb for verb in VERBS if verb.name == name]
    assert {row.request for row in rows} == {REQUESTS[name]}
    action = REQUESTS[name].model_fields.get("action")
    assert [row.action for row in rows] == ([None] if action is None else list(get_args(action.annotation)))


def test_help_lists_every_verb_in_the_order_of_the_table() -> None:
    command = [sys.executable, "-P", "-m", "skinml", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    verbs = [f"{name} {(model.__doc__ or '').splitlines()[0]}" for name, model in REQUESTS.items()]
    assert " ".join(verbs) in " ".join(shown.split())


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_a_deployment_runs_a_verb_with_what_can_be_asked_of_it(deployment: dict[str, Any]) -> None:
    """Its values are those of the environment: any text stands for one, but a number for `min_new`."""
    entry = deployment["entrypoint"].removesuffix(".py").replace(".py:", ":").replace("/", ".")
    entry = entry if ":" in entry else ":".join(entry.rsplit(".", 1))
    [verb] = [verb for verb in VERBS if verb.entry == entry]
    assert verb.as_flow
    assert set(deployment["parameters"]) == {"workspace", "request"}
    asked = deployment["parameters"]["request"]
    request = verb.request.model_validate({**asked, **({"min_new": "50"} if "min_new" in asked else {})})
    assert request.model_fields_set == {*asked}


def test_a_signal_waits_until_a_verb_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect's import catches exceptions. A signal that it swallowed would leave the run going on."""
    swallows = "try:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept BaseException:\n    pass\n"
    module = f"import os, signal\n{swallows}verb = 1"
    (tmp_path / "swallows.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def end(number: int, _: object) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(Interrupted):
            imported("swallows:verb")
    finally:
        signal.signal(signal.SIGTERM, before)
