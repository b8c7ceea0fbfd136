"""Tests of skinml/checkup/champion.py: what is wrong with the champion's files is found without reading all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skinml.checkup.champion import champion_problems


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    workspace = Path(shutil.copytree(trained, tmp_path / "workspace"))
    [manifest] = workspace.glob("models/*/*/manifest.json")
    return manifest.parent


def test_a_whole_champion_has_no_problem(bundle: Path) -> None:
    version, problems = champion_problems(str(bundle.parents[2]))
    assert (version, problems) == (bundle.name, [])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(b"x"), "has 1 bytes"),
        (lambda folder: _flip(folder / "model.onnx"), "SHA-256"),
        (lambda folder: _flip(folder / "manifest.json"), "SHA-256"),
        (lambda folder: (folder / "model.keras").unlink(), "is missing"),
        (shutil.rmtree, "no such version"),
        (lambda folder: (folder.parents[1] / "champion.json").write_bytes(b"{"), "does not name the champion"),
    ],
)
def test_what_was_changed_is_named(bundle: Path, harm: Callable[[Path], object], words: str) -> None:
    harm(bundle)
    _, [problem] = champion_problems(str(bundle.parents[2]))
    assert problem.kind == "champion"
    assert words in problem.detail
    assert problem.told == "the champion's files are not those that were registered"


def test_a_record_that_was_edited_by_hand_is_found(bundle: Path) -> None:
    other = bundle.with_name("20260101T000000Z-abcdef")
    shutil.copytree(bundle, other)
    manifest = other / "manifest.json"
    manifest.write_text(manifest.read_text().replace(bundle.name, other.name))
    champion = bundle.parents[1] / "champion.json"
    record = {"model_name": bundle.parent.name, "model_version": other.name}
    champion.write_text(json.dumps(record))
    _, [problem] = champion_problems(str(bundle.parents[2]))
    assert "edited by hand" in problem.detail


def test_no_champion_is_a_problem_of_its_own(tmp_path: Path) -> None:
    assert [one.kind for one in champion_problems(str(tmp_path))[1]] == ["no_champion"]


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
