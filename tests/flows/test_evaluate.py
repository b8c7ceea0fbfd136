"""The evaluate flow: labelled images that the model has never seen, and past scores with later diagnoses."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from skinml import tables
from skinml.lab.synth import make_archive
from skinml.lab.synth.archive import METADATA, PARTS
from skinml.layout import report_url
from skinml.models import registry
from skinml.records.evaluations import find_evaluations, read_predictions, set_key
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage.objects import read_bytes
from tests.command import CommandLine
from tests.conftest import MadeUp, made_once

pytestmark = pytest.mark.usefixtures("shared_workers")

FIGURES = ("roc", "precision_recall", "reliability", "confusion_matrix", "subgroups", "worst_misses")


@dataclass(frozen=True)
class Labelled:
    """A labelled set: one folder and one table."""

    images: Path
    metadata: Path

    def flags(self) -> list[object]:
        return ["--images", self.images, "--metadata", self.metadata]

    def rows(self) -> pd.DataFrame:
        return pd.read_csv(self.metadata, dtype="str")

    def write(self, rows: pd.DataFrame) -> None:
        rows.to_csv(self.metadata, index=False)


@pytest.fixture(scope="session")
def other_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 made-up images that no model was trained on. Shared by the session: copy it before writing."""
    return made_once(
        tmp_path_factory, "other-archive", lambda folder: make_archive(folder, 40, seed=5, processes=1)
    )


@pytest.fixture
def unseen(other_archive: Path, tmp_path: Path) -> Labelled:
    """A copy of them in one folder."""
    images = tmp_path / "unseen"
    for part in PARTS:
        shutil.copytree(other_archive / part, images, dirs_exist_ok=True)
    shutil.copy(other_archive / METADATA, tmp_path / "unseen.csv")
    return Labelled(images, tmp_path / "unseen.csv")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures, which take 4 s of CPU time, each time. `test_a_set_with_known_and_broken_images` has them."""
    monkeypatch.setattr("skinml.external_validation.findings.as_pictures", lambda _: {})


def everything(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def add_known_images(unseen: Labelled, made_up: MadeUp) -> dict[str, str]:
    """Put images into the set that the model knows, under new names; why each will be left out."""
    known = pd.read_csv(made_up.metadata, dtype="str").set_index("image_id")
    files = {path.stem: path for root in made_up.roots for path in sorted(root.glob("*.jpg"))}
    first, second, third = list(files)[:3]
    shutil.copy(files[first], unseen.images / "copy.jpg")
    with Image.open(files[second]) as image:
        image.save(unseen.images / "recompressed.jpg", quality=60)
    own = unseen.rows().iloc[0]
    rows = [
        {**own, "image_id": "copy", "lesion_id": "X1", "dx": known.loc[first, "dx"]},
        {**own, "image_id": "recompressed", "lesion_id": "X2", "dx": known.loc[second, "dx"]},
    ]
    table = pd.concat([unseen.rows(), pd.DataFrame(rows)], ignore_index=True)
    lesion = table["lesion_id"] == table["lesion_id"].iloc[5]
    why = dict.fromkeys(table.loc[lesion, "image_id"], "lesion")
    for column in ("lesion_id", "dx"):
        table.loc[lesion, column] = str(known.loc[third, column])
    unseen.write(table)
    return {**why, "copy": "identical", "recompressed": "near"}


def test_a_set_with_known_and_broken_images(
    workspace: str, unseen: Labelled, made_up: MadeUp, skinml: CommandLine
) -> None:
    """Known images are left out and named, broken ones quarantined, the rest measured; nothing else changes."""
    left = add_known_images(unseen, made_up)
    (unseen.images / "unlabelled.jpg").write_bytes(b"no row")
    (unseen.images / unseen.rows()["image_id"].iloc[20]).with_suffix(".jpg").write_bytes(b"")
    before = {table: tables.version(workspace, table) for table in ("samples", "scores", "promotions")}
    result = skinml("--workspace", workspace, "evaluate", *unseen.flags()).result

    listed = len(unseen.rows()) + 1
    assert (result["listed"], result["skipped"], result["quarantined"]) == (listed, len(left), 2)
    assert result["images"] == listed - len(left) - 2
    assert result["left_out"] == {"identical": 1, "near": 1, "lesion": len(left) - 2}
    assert {table: tables.version(workspace, table) for table in before} == before

    def report(name: str) -> bytes:
        return read_bytes(report_url(workspace, result["run_id"], name))

    named = pd.read_csv(io.BytesIO(report("left_out.csv")))
    assert dict(zip(named["image_id"], named["why"], strict=True)) == left
    assert named["known_image_id"].notna().all()
    for name in FIGURES:
        assert report(f"figures/{name}.png").startswith(b"\x89PNG")
        assert b"<svg" in report(f"figures/{name}.svg")

    [evaluation] = find_evaluations(workspace, result["model_version"])
    rows = read_predictions(workspace, evaluation).to_pandas()
    assert len(rows) == result["images"] == evaluation.images
    assert not set(rows["image_id"]) & {*left, "unlabelled"}
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in unseen.images.iterdir()]
    assert set(rows["sha256"]) <= set(hashes)
    assert evaluation.set_key == set_key(rows["sha256"]) == result["set_key"]
    assert evaluation.metrics == result["metrics"]
    right = (rows[list(PROBABILITY_COLUMNS)].idxmax(axis=1).str[2:] == rows["dx"]).mean()
    assert result["metrics"]["accuracy"] == pytest.approx(right)
    low, high = result["intervals"]["accuracy"]
    assert low <= right <= high
    said = json.loads(report("metrics.json"))
    assert said["metrics"] == result["metrics"]
    assert said["conformal"] is not None, "calibrated on the validation images of the bundle"

    run = tables.read(workspace, "runs").to_pandas().set_index("run_id").loc[result["run_id"]]
    assert (run["flow"], run["status"], run["model_version"]) == (
        "evaluate",
        "completed",
        result["model_version"],
    )
    assert run["listed"] == run["skipped"] + run["done"] + run["quarantined"]
    broken = tables.read(workspace, "quarantine").to_pandas()
    assert sorted(broken["reason"]) == ["empty", "no_metadata"]
    assert set(broken["flow"]) == {"evaluate"}
    assert skinml("--workspace", workspace, "quarantine").result["images"] == 0  # they wait for nothing
    listed_ones = skinml("--workspace", workspace, "quarantine", "list", "--flow", "evaluate").result
    assert listed_ones["images"] == 2


@pytest.mark.usefixtures("undrawn")
def test_probabilities_are_those_of_score_and_the_same_set_has_the_same_key(
    trained: Path, unseen: Labelled, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    first = skinml("--workspace", workspace, "evaluate", *unseen.flags()).result
    skinml("--workspace", workspace, "score", "--archive", unseen.images)
    columns = ["image_id", *PROBABILITY_COLUMNS]
    scores = tables.read(workspace, "scores", columns).to_pandas().set_index("image_id").sort_index()
    second = skinml("--workspace", workspace, "evaluate", *unseen.flags()).result
    assert second["images"] == first["images"] == 40, "each evaluation is whole"
    assert second["set_key"] == first["set_key"]
    assert (second["metrics"], second["intervals"]) == (first["metrics"], first["intervals"])
    for evaluation in find_evaluations(workspace):
        rows = read_predictions(workspace, evaluation).to_pandas().set_index("image_id").sort_index()
        pd.testing.assert_frame_equal(rows[list(PROBABILITY_COLUMNS)], scores, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("undrawn")
def test_a_table_without_lesions_and_without_some_classes_goes_on(
    trained: Path, unseen: Labelled, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    rows = unseen.rows()
    unseen.write(rows.loc[rows["dx"].isin(["mel", "nv"]), ["image_id", "dx"]])
    answer = skinml("--workspace", workspace, "evaluate", *unseen.flags(), "--max-quarantined", "100%")
    result = answer.result
    assert result["lesions"] == result["images"] == rows["dx"].isin(["mel", "nv"]).sum()
    assert result["absent_classes"] == result["metrics"]["absent"] == ["akiec", "bcc", "bkl", "df", "vasc"]
    assert "each counts as a lesion of its own" in answer.stderr
    assert "no image of akiec" in answer.stderr


def _contradict(unseen: Labelled) -> str:
    rows = unseen.rows()
    rows.loc[:1, "lesion_id"] = "TORN"
    rows.loc[:1, "dx"] = ["mel", "nv"]
    unseen.write(rows)
    return "lesion TORN is mel in"


def _one_class(unseen: Labelled) -> str:
    unseen.write(unseen.rows().assign(dx="nv"))
    return "are nv; give images of at least two diagnoses"


def _empty(unseen: Labelled) -> str:
    shutil.rmtree(unseen.images)
    unseen.images.mkdir()
    return "holds no images"


@pytest.mark.parametrize("spoil", [_contradict, _one_class, _empty])
def test_what_cannot_be_evaluated_is_refused_and_nothing_written(
    trained: Path, unseen: Labelled, spoil: object, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    before = everything(workspace)
    words = spoil(unseen)  # type: ignore[operator]
    answer = skinml("--workspace", workspace, "evaluate", *unseen.flags(), expect=2)
    assert words in answer.stderr.splitlines()[-1]
    assert everything(workspace) == before


@pytest.mark.parametrize("renamed", [False, True])
def test_the_training_images_are_refused_by_name(
    trained: Path, made_up: MadeUp, renamed: bool, tmp_path: Path, skinml: CommandLine
) -> None:
    """By their lesions before they are read; with other names and lesions by their bytes."""
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    before = everything(workspace)
    flags = made_up.flags()
    if renamed:
        rows = pd.read_csv(made_up.metadata, dtype="str")
        for root in made_up.roots:
            for path in root.glob("*.jpg"):
                (tmp_path / "renamed").mkdir(exist_ok=True)
                shutil.copy(path, tmp_path / "renamed" / f"new_{path.name}")
        rows["image_id"], rows["lesion_id"] = "new_" + rows["image_id"], "new_" + rows["lesion_id"]
        rows.to_csv(tmp_path / "renamed.csv", index=False)
        flags = ["--images", tmp_path / "renamed", "--metadata", tmp_path / "renamed.csv"]
    last = skinml("--workspace", workspace, "evaluate", *flags, expect=2).stderr.splitlines()[-1]
    assert "an evaluation on the training images: all 140 images are known to model" in last
    assert ("140 identical" if renamed else "140 of a lesion that it knows") in last
    assert everything(workspace) == before


def test_too_many_broken_images_fail_and_are_named(
    trained: Path, unseen: Labelled, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    for path in sorted(unseen.images.iterdir())[:15]:
        path.write_bytes(b"not an image")
    answer = skinml("--workspace", workspace, "evaluate", *unseen.flags(), expect=1)
    assert "15 of 40 images (38%) cannot be used (15 not_an_image)" in answer.stderr.splitlines()[-1]
    assert find_evaluations(workspace) == []
    runs = tables.read(workspace, "runs").to_pandas().set_index("flow")
    assert runs.loc["evaluate", "status"] == "failed"


def test_labels_of_other_images_fail_and_say_so(
    trained: Path, unseen: Labelled, tmp_path: Path, skinml: CommandLine
) -> None:
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    unseen.write(unseen.rows().assign(image_id=lambda rows: "other_" + rows["image_id"]))
    flags = [*unseen.flags(), "--max-quarantined"]
    answer = skinml("--workspace", workspace, "evaluate", *flags, "20%", expect=1)
    assert "most likely the metadata is for other images" in answer.stderr.splitlines()[-1]
    answer = skinml("--workspace", workspace, "evaluate", *flags, "100%", expect=1)
    assert "no image is left to evaluate: 40 of 40 cannot be used" in answer.stderr.splitlines()[-1]
    assert find_evaluations(workspace) == []


def test_later_diagnoses_judge_past_scores(
    workspace: str, unseen: Labelled, tmp_path: Path, skinml: CommandLine
) -> None:
    ours = ["--workspace", workspace]
    assert "has no scores yet" in skinml(*ours, "evaluate", "--outcomes", expect=2).stderr
    skinml(*ours, "score", "--archive", unseen.images)
    late = tmp_path / "late.csv"
    rows = unseen.rows()
    pd.concat([rows[:10], rows[:1].assign(image_id="elsewhere", lesion_id="other")])[
        ["image_id", "lesion_id", "dx"]
    ].to_csv(late, index=False)
    runs = tables.read(workspace, "runs").num_rows
    result = skinml(*ours, "evaluate", "--outcomes", "--metadata", late).result
    assert (result["listed"], result["images"], result["skipped"]) == (11, 10, 1)
    assert result["model_version"] == registry.find(workspace, "champion").version
    assert result["diagnosed_share"] == pytest.approx(10 / 40)
    assert "verification bias" in result["note"]
    [month] = result["months"]
    assert (month["scored"], month["images"]) == (40, 10)
    scores = tables.read(workspace, "scores", ["image_id", "predicted_dx"]).to_pandas()
    both = scores.merge(rows[:10], on="image_id")
    assert result["metrics"]["accuracy"] == pytest.approx((both["predicted_dx"] == both["dx"]).mean())
    unused = pd.read_csv(io.BytesIO(read_bytes(report_url(workspace, result["run_id"], "unused.csv"))))
    assert unused["image_id"].tolist() == ["elsewhere"]
    for name in ("outcomes.parquet", "months.csv", "figures/outcomes.png", "figures/outcomes.svg"):
        assert read_bytes(report_url(workspace, result["run_id"], name))
    assert tables.read(workspace, "runs").num_rows == runs + 1

    # The samples of this model are no outcomes, and diagnoses of other images match nothing.
    late.write_text("image_id,dx\nelsewhere,nv\n")
    for more, words in ((["--metadata", late], "is of one of the 40 scored images"), ([], "none of the 140")):
        answer = skinml(*ours, "evaluate", "--outcomes", *more, expect=2)
        assert words in answer.stderr.splitlines()[-1]
    assert tables.read(workspace, "runs").num_rows == runs + 1


def test_diagnoses_that_the_model_was_trained_with_are_refused_and_later_ones_used(
    trained: Path, made_up: MadeUp, unseen: Labelled, tmp_path: Path, skinml: CommandLine
) -> None:
    """An archive with training images: their diagnoses were known. Then the same archive is prepared."""
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    for path in list(made_up.roots[0].glob("*.jpg"))[:5]:
        shutil.copy(path, unseen.images)
    skinml("--workspace", workspace, "score", "--archive", unseen.images)
    answer = skinml("--workspace", workspace, "evaluate", "--outcomes", expect=2)
    assert "5 the model version was trained with this diagnosis" in answer.stderr.splitlines()[-1]
    (tmp_path / "own").mkdir()
    for name in unseen.rows()["image_id"]:
        shutil.copy(unseen.images / f"{name}.jpg", tmp_path / "own")
    skinml("--workspace", workspace, "prepare", "--images", tmp_path / "own", "--metadata", unseen.metadata)
    result = skinml("--workspace", workspace, "evaluate", "--outcomes").result
    assert (result["images"], result["unused"]["the model version was trained with this diagnosis"]) == (40, 5)
    assert result["diagnosed_share"] == 1.0  # of the 40 that it was not trained on
