"""Tests of deployments/docker/compose.yaml: the schema of compose, what is closed, and what is pinned."""

from __future__ import annotations

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.deployments.images import images

FOLDER = REPOSITORY / "deployments" / "docker"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))[
    "services"
]
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))


def test_it_is_what_compose_accepts() -> None:
    """The schema of the Compose Specification, which check-jsonschema brings."""
    file = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**COMPOSE, "services": {"a": {"imag": "b"}}})


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "a number that is not root's"
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "cap_add"} & service.keys()
    assert "/var/run/docker.sock" not in str(service)


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_by_a_version(name: str) -> None:
    image, tag = SERVICES[name]["image"].split(":")
    assert re.match(r"\d+\.\d+", tag), image
    build = SERVICES[name].get("build")
    assert (build is None) == (image == "postgres")
    if build is not None:
        assert build["target"] == image.removeprefix("skinml/")
        assert build["target"] in images()
        assert (FOLDER / build["context"]).resolve() == REPOSITORY
        assert images()[build["target"]].user == SERVICES[name]["user"].split(":")[0]


def test_one_port_is_open_and_on_this_machine_alone() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"prefect": ["127.0.0.1:4200:4200"]}


def test_only_the_ui_is_on_a_network_that_leads_outside() -> None:
    open_networks = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert open_networks == {"outside"}
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == ["prefect"]
    for name, service in SERVICES.items():
        assert service["networks"], f"{name} would be on a default network, which leads outside"


def test_dask_is_reached_by_its_workers_and_by_prefects_alone() -> None:
    there = {name for name, service in SERVICES.items() if "dask" in service["networks"]}
    assert there == {"dask-scheduler", "dask-worker", "cpu-worker", "retrain-worker", "gpu-worker"}


def test_no_secret_has_a_value() -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    named = [line.split("=")[0] for line in (FOLDER / "secrets.env").read_text(encoding="utf-8").splitlines()]
    named = [name for name in named if name and not name.startswith("#")]
    assert set(re.findall(r"\$\{(\w+)", text)) == set(named), "compose refuses to start while one is missing"
    assert all(
        line.endswith("=") for line in (FOLDER / "secrets.env").read_text().splitlines() if line[:1].isupper()
    )
    assert len(re.findall(r"\$\{\w+:\?put it into \.env\}", text)) == len(re.findall(r"\$\{", text))


def test_services_wait_until_what_they_need_is_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends or ("healthcheck" in SERVICES[needed] and how["condition"] == "service_healthy"), name
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"deploy"}


def test_what_must_be_kept_lies_in_a_volume() -> None:
    for name, service in SERVICES.items():
        volumes = [one.split(":")[0] for one in service["volumes"]]
        assert all(one in COMPOSE["volumes"] for one in volumes if not one.startswith("/")), name
        assert not [one for one in service["volumes"] if one.startswith((".", "~"))], "no folder of the host"


def test_retrainings_have_a_worker_of_their_own_that_can_train() -> None:
    start = ["prefect", "worker", "start", "--pool"]
    words = {name: one.get("entrypoint", []) for name, one in SERVICES.items()}
    pools = {name: given[4] for name, given in words.items() if given[:4] == start}
    assert pools == {"cpu-worker": "skinml", "retrain-worker": "retrain", "gpu-worker": "gpu"}
    built = {name: SERVICES[name]["build"] for name in pools}
    assert {name: one["target"] for name, one in built.items()} == {
        **{"cpu-worker": "score", "retrain-worker": "train", "gpu-worker": "train"}
    }
    names = {SERVICES[name]["image"] for name in pools}
    assert len(names) == 3, "one image would be built twice, in two ways"


def test_the_gpu_worker_starts_only_if_asked_for() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["gpu-worker"]
    [device] = SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_the_files_that_the_texts_name_are_there() -> None:
    named = re.findall(r"deployments/[\w/.]+", "".join(file.read_text() for file in Path(FOLDER).iterdir()))
    assert named
    for one in {name.rstrip("/.") for name in named}:
        assert (REPOSITORY / one).exists(), one
