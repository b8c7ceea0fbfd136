"""Tests of skinml/models/zoo/__init__.py: the registry, and that one file is all that an architecture takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from skinml.errors import RequestError
from skinml.images.preprocessing import Preprocessing, preprocessing_for
from skinml.models import zoo
from skinml.models.zoo.base import Architecture
from skinml.requests.training import TrainRequest

ANOTHER = """
from skinml.models.zoo.base import Architecture

ARCHITECTURE = Architecture(name="{name}", size=48, build=lambda: None, features="f", aspect="crop")
"""


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"no architecture is called 'vgg16'; known: .*thesis-cnn"):
        zoo.architecture("vgg16")


@pytest.mark.parametrize(("size", "words"), [(16, "takes 32 to 1024 px"), (2048, "takes 32 to 1024 px")])
def test_a_size_that_the_network_cannot_take_is_refused(
    size: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = replace(zoo.ARCHITECTURES["efficientnet-lite0"], size=size)
    monkeypatch.setitem(zoo.ARCHITECTURES, "efficientnet-lite0", shape)
    with pytest.raises(
        RequestError, match=rf"^efficientnet-lite0 reads images of {size} px, but its .*{words}: change"
    ):
        zoo.architecture("efficientnet-lite0")


def test_pixels_are_made_for_the_model_that_train_fits() -> None:
    assert TrainRequest().model == zoo.DEFAULT
    assert (
        zoo.input_size(None, None)
        == zoo.input_size("thesis-cnn", None)
        == zoo.input_size("thesis-cnn", 32)
        == 32
    )
    assert zoo.input_size(None, 64) == 64
    with pytest.raises(
        RequestError, match=r"^--size 64 contradicts --for thesis-cnn, which reads 32 px: give one"
    ):
        zoo.input_size("thesis-cnn", 64)
    with pytest.raises(RequestError, match="no architecture is called 'vgg16'"):
        zoo.input_size("vgg16", None)


def test_pixels_are_made_as_the_architecture_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zoo.pixels_for("thesis-cnn", None, "fast") == preprocessing_for(32, "fast")
    assert zoo.pixels_for(None, 64, "exact") == Preprocessing(64, "exact")
    other = Architecture("other", 48, lambda: None, "f", normalisation="imagenet", aspect="crop")
    monkeypatch.setitem(zoo.ARCHITECTURES, "other", other)
    expected = Preprocessing(48, "fast", colour="srgb", aspect="crop", normalisation="imagenet")
    assert zoo.pixels_for("other", None, "fast") == expected


def test_a_file_in_the_folder_is_all_that_an_architecture_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train --model` and `prepare --for` know it, in a process that starts afterwards."""
    zoo_folder = tmp_path / "skinml" / "models" / "zoo"
    zoo_folder.mkdir(parents=True)
    package = Path(zoo.__file__).parents[2]
    for entry in package.iterdir():
        if entry.name not in {"models", "__pycache__"}:
            (tmp_path / "skinml" / entry.name).symlink_to(entry)
    for entry in (package / "models").iterdir():
        if entry.name not in {"zoo", "__pycache__"}:
            (zoo_folder.parent / entry.name).symlink_to(entry)
    shutil.copytree(Path(zoo.__file__).parent, zoo_folder, dirs_exist_ok=True)
    (zoo_folder / "another_one.py").write_text(ANOTHER.format(name="another-one"))
    code = (
        "from skinml.models import zoo; print(zoo.__file__); print(*sorted(zoo.ARCHITECTURES));"
        "print(zoo.pixels_for('another-one', None, 'fast').dataset_key())"
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{package.parent}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    where, names, key = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert {"another-one", "thesis-cnn"} <= set(names.split())
    assert key == "48px-fast-bicubic-srgb-crop-npy"

    monkeypatch.setattr(zoo, "__path__", [*zoo.__path__, str(tmp_path / "more")])
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "twice.py").write_text(ANOTHER.format(name="thesis-cnn"))
    with pytest.raises(ValueError, match=r"twice\.py: the zoo has an architecture 'thesis-cnn' already"):
        zoo.discover()
