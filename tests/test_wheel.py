"""What users install: the files of the wheel and the sdist, and that the wheel works with no clone in sight."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

from deployments import PREFECT_FILE
from tests.conftest import REPOSITORY
from tests.wheel import Environment, build

PACKAGES = {"skinml", "tasks", "flows", "deployments"}


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


def test_the_sdist_holds_what_users_need_and_builds_the_same_wheel(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", REPOSITORY, tmp_path / "sdist")) as opened:
        opened.extractall(tmp_path, filter="data")
    [source] = tmp_path.glob("skinml-*")
    documents = {"README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO"}
    for_building = {"pyproject.toml", "constraints.txt", ".gitignore"}
    assert {path.name for path in source.iterdir()} == PACKAGES | documents | for_building

    wheel = build("wheel", REPOSITORY, tmp_path / "wheel")
    names = names_in(wheel)
    assert names == names_in(build("wheel", source, tmp_path / "again"))
    [info] = {name.partition("/")[0] for name in names} - PACKAGES
    assert names >= {f"{package}/py.typed" for package in PACKAGES}
    assert names >= {"deployments/prefect.yaml", f"{info}/licenses/LICENSE"}
    code = {
        path.relative_to(REPOSITORY).as_posix()
        for name in PACKAGES
        for path in (REPOSITORY / name).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == code
    with zipfile.ZipFile(wheel) as opened:
        about = message_from_bytes(opened.read(f"{info}/METADATA"))
    assert about["Description-Content-Type"] == "text/markdown"
    assert about.get_payload() == (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_root_of_a_clone_deploys_the_same_file() -> None:
    assert (REPOSITORY / "prefect.yaml").samefile(PREFECT_FILE)


def test_the_wheel_scores_with_no_clone_in_sight(
    wheel_environment: Environment, trained: Path, tmp_path: Path
) -> None:
    def run(*command: str) -> str:
        done = wheel_environment.run(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for package in PACKAGES:
        found = run("python", "-c", f"import {package}; print({package}.__file__)").strip()
        assert Path(found).is_relative_to(wheel_environment.folder)
    assert run("skinml", "--version").startswith("skinml ")

    shutil.copytree(trained, tmp_path / "workspace")
    run("skinml", "synth", "--images", "20", "--corrupt", "0.1", "--out", "archive")
    printed = run("skinml", "--json", "--workspace", "workspace", "score", "--archive", "archive")
    result = json.loads(printed.splitlines()[-1])
    assert (result["scored"], result["quarantined"]) == (18, 2)
