"""Tests of skinml/checkup/installation.py: versions, disk and GPU."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from skinml.checkup import installation


def test_the_versions_of_this_installation_are_within_their_bounds() -> None:
    found = installation.check_versions()
    assert found.state == "ok", found
    assert f"sqlalchemy {metadata.version('sqlalchemy')}" in found.detail


def test_a_library_out_of_bounds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    true = metadata.version

    def version(name: str) -> str:
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return "2.1.0" if name == "sqlalchemy" else true(name)

    monkeypatch.setattr(metadata, "version", version)
    found = installation.check_versions()
    assert found.state == "failed"
    assert "sqlalchemy 2.1.0, <2.1,>=2.0.20 is needed" in found.detail
    assert "onnxruntime is missing" in found.detail


@pytest.mark.parametrize(("free", "state"), [(10 * 2**30, "ok"), (2**30, "warning"), (2**20, "failed")])
def test_little_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))
    assert installation.check_disk([tmp_path / "not" / "there"]).state == state


@pytest.mark.parametrize(
    ("script", "state", "words"),
    [
        ("exit 9", "ok", "no NVIDIA GPU"),
        ("echo 'NVIDIA H100, 81559 MiB'", "warning", "does not see it"),
        ("exec sleep 60", "warning", "no answer within 2 s"),
    ],
)
def test_a_gpu_that_keras_does_not_see_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, state: str, words: str
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(installation, "GPU_SECONDS", 2.0)
    monkeypatch.setattr(installation, "KERAS_DEVICES", "print('tensorflow', 0)")
    found: Any = installation.check_gpu()
    assert found.state == state
    assert words in found.detail
