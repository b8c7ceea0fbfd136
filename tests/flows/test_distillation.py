"""`train --teachers`: a version learns from others, but from none that knows its test lesions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skinml import tables
from skinml.errors import RequestError
from skinml.layout import model_url
from skinml.models import registry
from skinml.training.teachers import check_teachers, find_teachers
from tests.command import CommandLine


def _samples(workspace: str) -> pd.DataFrame:
    samples: pd.DataFrame = tables.read(workspace, "samples").to_pandas()
    return samples


def _rewrite(workspace: str, version: str, **changes: object) -> None:
    """Change the manifest of a version."""
    manifest = registry.find(workspace, version)
    path = Path(model_url(workspace, manifest.name, manifest.version)) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.usefixtures("jobs_here")
def test_a_student_is_trained_with_views_on_what_its_teacher_says(
    trained: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    teacher = registry.find(workspace, "champion")
    flags = ["--epochs", 1, "--batch-size", 128, "--teachers", "champion", "--views", 2]
    result = skinml("--workspace", workspace, "train", *flags, "--distill-weight", "0.25").result
    assert (result["teachers"], result["views"]) == ([teacher.version], 2)
    student = registry.find(workspace, result["model_version"])
    [recorded] = student.teachers
    assert recorded["version"] == teacher.version
    assert recorded["sha256"] == teacher.files["model.onnx"].sha256
    assert student.parameters["distill_weight"] == 0.25
    assert (student.parameters["views"], student.views) == (2, 2)
    card = registry.read_verified(workspace, student, "card.md").decode()
    assert teacher.version in card
    assert "the mean of 2 views" in card
    shown = skinml("--workspace", workspace, "models", "show", student.version).result
    assert shown["views"] == 2
    assert shown["teachers"] == [recorded]
    assert {"calibration", "operating_point"} <= shown.keys()

    grandchild = [registry.find(workspace, student.version)]
    check_teachers(workspace, grandchild, _samples(workspace))  # and its own teacher


def test_who_knows_a_held_out_lesion_may_not_teach(trained: Path) -> None:
    workspace, samples = str(trained), _samples(str(trained))
    [teacher] = find_teachers(workspace, ["champion"])
    check_teachers(workspace, [teacher], samples)
    for split in ("test", "val"):
        moved = samples.copy()
        first = moved.index[moved["split"] == "train"][0]
        moved.loc[moved["lesion_id"] == moved.loc[first, "lesion_id"], "split"] = split
        with pytest.raises(RequestError, match=rf"has seen \d+ of \d+ {split} images in training, such as"):
            check_teachers(workspace, [teacher], moved)
    other = teacher.model_copy(update={"dataset": {**teacher.dataset, "version": None}})
    with pytest.raises(RequestError, match="nobody knows whether it has seen test lesions"):
        check_teachers(workspace, [other], samples)


def test_who_is_not_known_or_fits_on_test_lesions_may_not_teach(
    trained: Path, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    version = registry.find(workspace, "champion").version
    refused = {
        ("--teachers", "2020-nobody"): "2020-nobody",
        ("--teachers", f"{version},champion"): "is named twice; name each version once",
        ("--teachers", f"{version},"): "a version has no name",
        ("--distill-weight", "0.5"): "--distill-weight needs --teachers",
        ("--teachers", version, "--protocol", "thesis"): "--teachers contradicts --protocol thesis",
    }
    before = sorted(np.array([str(path) for path in Path(workspace).rglob("*")]))
    for flags, said in refused.items():
        assert said in skinml("--workspace", workspace, "train", *flags, expect=2).stderr, flags
    assert sorted(np.array([str(path) for path in Path(workspace).rglob("*")])) == before

    Path(workspace, "models", "champion.json").unlink()  # which pins the manifest
    _rewrite(workspace, version, protocol="thesis")
    with pytest.raises(RequestError, match="the thesis protocol, which fits on test lesions"):
        find_teachers(workspace, [version])
