"""The mislabelled flow: planted wrong labels are named, nothing is changed, and the run leaves a row."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinml import tables
from skinml.labels import DIAGNOSES
from tests.command import CommandLine

WRONG = 7
COLOURS = (
    (230, 60, 60),
    (60, 200, 60),
    (60, 60, 230),
    (230, 230, 60),
    (230, 60, 230),
    (60, 230, 230),
    (140, 140, 140),
)
"""One for each diagnosis, so that a network learns them within a few seconds."""


@pytest.fixture
def planted(tmp_path: Path) -> tuple[list[object], set[str]]:
    """The flags of an archive of 105 lesions, some photographed twice, and the lesions with a wrong label."""
    generator = np.random.default_rng(7)
    folder = tmp_path / "images"
    folder.mkdir()
    rows, wrong = [], set()
    for lesion in range(105):
        truth = lesion % 7
        label = (truth + 3) % 7 if lesion < WRONG else truth
        if label != truth:
            wrong.add(f"HAM_{lesion:04d}")
        for image in range(2 if lesion % 3 == 0 else 1):
            pixels = generator.normal(COLOURS[truth], 25, (48, 64, 3)).clip(0, 255).astype(np.uint8)
            name = f"ISIC_{lesion:04d}{image}"
            Image.fromarray(pixels).save(folder / f"{name}.png")
            rows.append((name, f"HAM_{lesion:04d}", DIAGNOSES[label], "histo", 50, "male", "back"))
    head = ["image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization"]
    pd.DataFrame(rows, columns=head).to_csv(tmp_path / "metadata.csv", index=False)
    return ["--images", folder, "--metadata", tmp_path / "metadata.csv"], wrong


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_here")
def test_planted_labels_are_named_first(
    planted: tuple[list[object], set[str]], skinml: CommandLine, tmp_path: Path
) -> None:
    flags, wrong = planted
    workspace = tmp_path / "workspace"
    skinml("--workspace", workspace, "prepare", *flags)
    before = tables.version(str(workspace), "samples")
    asked = ("--folds", 2, "--epochs", 12, "--batch-size", 8)
    result = skinml("--workspace", workspace, "mislabelled", *asked).result

    samples = tables.read(str(workspace), "samples").to_pandas()
    assert (result["images"], result["lesions"]) == (len(samples), samples["lesion_id"].nunique())
    named = {row["lesion_id"] for row in result["rows"]}
    assert len(result["rows"]) == 20
    assert len(named & wrong) >= 5, "by chance it would be 1.3"
    assert {row["dx"] for row in result["rows"]} <= set(DIAGNOSES)

    ranking, predictions = (Path(file) for file in result["files"])
    assert len(pd.read_csv(ranking)) == result["lesions"]
    assert sorted(pd.read_parquet(predictions)["image_id"]) == sorted(samples["image_id"])
    assert tables.version(str(workspace), "samples") == before
    runs = tables.read(str(workspace), "runs").to_pandas()
    assert runs.loc[runs["flow"] == "mislabelled", "status"].tolist() == ["completed"]
    assert not list(workspace.glob("models/*")), "no version comes of it"
    assert not list(workspace.glob("under_way/*"))


def test_more_folds_than_lesions_are_refused_and_nothing_is_written(
    trained: Path, skinml: CommandLine, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(trained, workspace)
    before = sorted(workspace.rglob("*"))
    refused = skinml("--workspace", workspace, "mislabelled", "--folds", 20, expect=2)
    assert "lesions, and each fold needs one; give fewer folds" in refused.stderr
    assert sorted(workspace.rglob("*")) == before
