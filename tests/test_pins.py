"""The files of pinned versions: nothing but names and versions, and what pyproject.toml asks for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = ["constraints.txt", "constraints-lowest.txt", "constraints-isic.txt", "benchmarks/constraints.txt"]


def declared(*extras: str) -> list[Requirement]:
    """What the base install and these extras depend on directly."""
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in extras for line in PROJECT["optional-dependencies"][extra]),
    ]
    return [one for one in map(Requirement, lines) if one.name != PROJECT["name"]]


def pinned(file: str) -> dict[str, Version]:
    lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


@pytest.mark.parametrize("file", FILES)
def test_they_hold_names_and_versions_only(file: str) -> None:
    for line in (REPOSITORY / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            assert not re.search(r"/|@|\b\d+\.\d+\.\d+\.\d+\b", line.replace("pyproject.toml", "")), line
        else:
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_the_pinned_versions_are_within_the_bounds() -> None:
    pins = pinned("constraints.txt")
    for one in declared("train", "test", "dev", "dicom", "jobqueue", "kubernetes", "notebook"):
        assert pins[canonicalize_name(one.name)] in one.specifier, one


def test_the_lowest_versions_are_those_that_are_declared() -> None:
    pins = pinned("constraints-lowest.txt")
    for one in declared("train", "test", "dicom", "jobqueue", "kubernetes", "notebook"):
        pin = pins[canonicalize_name(one.name)]
        assert pin in one.specifier, one
        for lowest in (Version(bound.version) for bound in one.specifier if bound.operator == ">="):
            assert pin.release[: len(lowest.release)] == lowest.release, f"{one}: make constraints-lowest"


def test_what_is_installed_is_within_the_bounds_and_fits_together() -> None:
    for one in declared("train", "test", "dicom", "jobqueue", "kubernetes", "notebook"):
        assert Version(metadata.version(one.name)) in one.specifier, one
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
