"""Tests of skinml/training/finish.py: what a bundle holds beside the fitted network."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.images.quality import measure as measure_quality
from skinml.labels import DIAGNOSES
from skinml.models import zoo
from skinml.models.bundle import describe
from skinml.models.inference import infer
from skinml.models.zoo.base import Architecture
from skinml.monitoring.foreign import IMAGES as FOREIGN_IMAGES
from skinml.monitoring.reference import parse_reference
from skinml.training import finish as module
from skinml.training.finish import compare_networks, finish
from skinml.training.jobs import FinishJob
from skinml.training.results import Finished
from tests.unit.models.networks import SIZE, images, write_network
from tests.unit.training.datasets import finish_job, fit_job, inputs_of, write_shards

PIXELS = images(400)
LABELS = (np.arange(400) % 7).astype(np.int64)
LABELS[390:] = -1  # shards may hold rows that are no sample any more
LESIONS = np.arange(400) // 14 * 7 + LABELS  # two images each
TRAIN, VALIDATION, TEST = np.arange(280), np.arange(280, 330), np.arange(330, 390)
OUTPUTS = ["probabilities", "unlike_training"]
FP32_ALONE = {"model.onnx", "reference.json", "probabilities.npy", "validation.npy"}


SMALL = Architecture("small", SIZE, lambda: None, "features1", ("Conv", "Relu"))
"""What `write_network` writes; it is never built."""


@pytest.fixture(scope="module", autouse=True)
def _small_is_in_the_zoo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(zoo.ARCHITECTURES, "small", SMALL)
        yield


def _job(folder: Path, train: np.ndarray = TRAIN, test: np.ndarray = TEST, **changes: Any) -> FinishJob:
    """A job on 400 images, whose results go to `folder`."""
    workspace = f"{folder}-workspace"
    width, height = np.full(400, 600), np.full(400, 450)
    width[300], height[300] = 1024, 768
    more = {"width": width, "height": height, "lesions": LESIONS} | changes
    labels = more.pop("labels", LABELS)
    inputs = inputs_of(write_shards(workspace, PIXELS, [150]), labels, train, VALIDATION, test, **more)
    fit = fit_job(workspace, inputs, architecture="small")
    Path(fit.results).mkdir(parents=True)
    network = write_network(Path(fit.results, "model.onnx"))
    return finish_job(fit, describe(network.read_bytes()).sha256, results=str(folder))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FinishJob:
    return _job(tmp_path_factory.mktemp("finish") / "bundle")


@pytest.fixture(scope="module")
def finished(job: FinishJob) -> Finished:
    return finish(job, Path(job.workspace, "scratch"))


def test_the_bundle_has_both_networks_and_the_reference(job: FinishJob, finished: Finished) -> None:
    assert {path.name for path in Path(job.results).iterdir()} == {
        "model.onnx", "model-int8.onnx", "reference.json", "probabilities.npy", "validation.npy",
    }  # fmt: skip
    assert (finished.reference_images, finished.held_out) == (110, True)


def test_an_architecture_that_names_its_cells_leaves_features_of_training_images(
    tmp_path: Path,
) -> None:
    job = _job(tmp_path / "bundle", train=np.array([3, 1, 3, 200]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(zoo.ARCHITECTURES, "small", replace(SMALL, cells="features2"))
        network = write_network(Path(job.fitted, "model.onnx"), cells=True)
        done = finish(
            replace(job, fitted_sha256=describe(network.read_bytes()).sha256), Path(job.workspace, "scratch")
        )
    assert "training-features.npz" in done.files
    with np.load(tmp_path / "bundle" / "training-features.npz", allow_pickle=False) as arrays:
        assert arrays["positions"].tolist() == [1, 3, 200], "each image once"
        expected = infer(network, [PIXELS[[1, 3, 200]]], ["cells"])["cells"].mean(axis=(1, 2))
        np.testing.assert_allclose(arrays["features"], expected, rtol=2e-3)
    outputs = infer(tmp_path / "bundle" / "model-int8.onnx", [PIXELS[:2]], [*OUTPUTS, "cells"])
    assert np.isfinite(outputs["cells"]).all()


def test_the_figures_are_those_of_the_files_on_the_test_images(job: FinishJob, finished: Finished) -> None:
    found = {}
    for name, network in finished.precisions.items():
        assert network.file is not None
        found[name] = infer(Path(job.results) / network.file, [PIXELS[TEST]], OUTPUTS)["probabilities"]
        metrics = measure(LABELS[TEST], found[name])
        assert network.images == 60
        assert network.balanced_accuracy == pytest.approx(metrics["balanced_accuracy"])
        assert network.macro_auc == pytest.approx(metrics["macro_auc"])
    int8 = finished.precisions["int8"]
    same = found["fp32"].argmax(axis=1) == found["int8"].argmax(axis=1)
    assert int8.agreement == pytest.approx(same.mean())
    assert int8.largest_difference == pytest.approx(np.abs(found["fp32"] - found["int8"]).max())
    said = json.loads(json.dumps(finished.to_json()))["int8"]
    assert said["allowed"] is int8.allowed is False, "30 lesions show nothing"
    assert sum(said["lesions"].values()) == len(np.unique(LESIONS[TEST]))
    low, high = said["interval"]
    fp32 = finished.precisions["fp32"]
    assert int8.difference == pytest.approx((int8.balanced_accuracy or 0) - (fp32.balanced_accuracy or 0))
    assert low <= said["difference"] <= high
    assert (fp32.difference, fp32.interval, fp32.lesions) == (None, None, None)


def test_the_reference_is_of_the_images_that_were_not_fitted_on(job: FinishJob, finished: Finished) -> None:
    reference = parse_reference((Path(job.results) / "reference.json").read_bytes(), "v")
    assert reference.held_out is True
    held_out = np.concatenate([VALIDATION, TEST])
    quality = measure_quality(PIXELS[held_out])
    for precision in ("fp32", "int8"):
        network = finished.precisions[precision]
        usual = reference.of(precision, "v")
        seen = infer(Path(job.results) / str(network.file), [PIXELS[held_out]], OUTPUTS)
        assert usual.images == 110
        assert usual.measures["brightness"].mean == pytest.approx(quality.brightness.mean())
        assert usual.measures["sharpness"].mean == pytest.approx(quality.sharpness.mean())
        assert usual.measures["megapixels"].counts == (0, 109, 1)
        confidence = seen["probabilities"].max(axis=1).mean()
        assert usual.measures["confidence"].mean == pytest.approx(confidence, rel=1e-4)
        predicted = np.bincount(seen["probabilities"].argmax(axis=1), minlength=7)
        assert usual.predicted == tuple(predicted.tolist())
        above = seen["unlike_training"] > usual.thresholds.unlike_training * (1 + 1e-6)
        assert above.sum() == 1  # 1 % of 110
    assert reference.precisions["fp32"].thresholds != reference.precisions["int8"].thresholds


def test_where_everything_was_fitted_on_the_test_images_serve(tmp_path: Path) -> None:
    """As in the thesis's protocol on few images, whose test rows are drawn twice over."""
    job = _job(tmp_path / "bundle", np.tile(np.arange(385), 2), np.repeat(TEST, 2))
    finished = finish(job, Path(job.workspace, "scratch"))
    assert (finished.reference_images, finished.held_out) == (60, False)
    assert parse_reference((Path(job.results) / "reference.json").read_bytes(), "v").held_out is False
    assert finished.precisions["fp32"].images == 120


def test_a_failed_quantisation_leaves_a_bundle_that_scores_in_fp32(tmp_path: Path) -> None:
    unlabelled = np.where(np.arange(400) < 280, -1, LABELS)  # so that nothing is there to calibrate on
    job = _job(tmp_path / "bundle", labels=unlabelled)
    finished = finish(job, tmp_path)
    assert finished.precisions["fp32"].allowed
    int8 = finished.precisions["int8"]
    assert (int8.file, int8.allowed) == (None, False)
    assert int8.failure is not None
    assert int8.failure.startswith("quantising it failed: ValueError: No data is collected")
    assert "\n" not in int8.failure
    assert {path.name for path in Path(job.results).iterdir()} == FP32_ALONE
    reference = parse_reference((Path(job.results) / "reference.json").read_bytes(), "v")
    assert set(reference.precisions) == {"fp32"}


def test_an_architecture_that_names_no_operators_has_no_int8(
    job: FinishJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(zoo.ARCHITECTURES, "small", replace(SMALL, quantisable=()))
    finished = finish(replace(job, results=f"{job.results}-fp32"), tmp_path)
    assert finished.precisions["int8"].failure == (
        "quantising it failed: ValueError: the architecture names no operators that may be quantised"
    )
    assert set(finished.files) == FP32_ALONE


def test_of_a_large_archive_some_images_are_taken(job: FinishJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 50)
    other = replace(job, results=f"{job.results}-large")
    assert finish(other, Path(job.workspace, "scratch")).reference_images == 50


def test_it_is_recorded_what_the_network_does_with_images_of_no_lesion(finished: Finished) -> None:
    assert {"test images", "black", "noise"} <= set(finished.foreign)
    for kind, seen in finished.foreign.items():
        assert 0 < seen["images"] <= FOREIGN_IMAGES, kind
        assert all(0 <= seen[name] <= 1 for name in ("flagged", "unlike_training", "confidence", "malignant"))
    assert finished.foreign["noise"]["flagged"] > finished.foreign["test images"]["flagged"]


def test_a_second_try_of_a_job_makes_the_same_files(job: FinishJob, finished: Finished) -> None:
    again = finish(job, Path(job.workspace, "scratch"))
    assert again == finished
    assert again.files == {path.name: describe(path.read_bytes()) for path in Path(job.results).iterdir()}


def test_what_is_not_the_jobs_is_refused(job: FinishJob, tmp_path: Path) -> None:
    for wrong, said in (
        (replace(job, fitted_sha256="0" * 64), "model.onnx: is not the network that the fit left; train again"),
        (replace(job, inputs_sha256="0" * 64), "is not the 000000000000… that the job names; train again"),
    ):
        with pytest.raises(RunError, match=said):
            finish(wrong, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "allowed"), [(0, True), (1, True), (3, False)], ids=["equal", "one of 700", "three of 700"]
)
def test_what_the_lesions_do_not_show_is_not_allowed(wrong: int, allowed: bool) -> None:
    """Three of 700 are 0.43 points, but a test set of other lesions might have shown six."""
    labels = np.repeat(np.arange(7), 100)
    fp32 = np.eye(7)[labels] * 0.93 + 0.01
    int8 = fp32.copy()
    int8[:wrong] = np.roll(int8[:wrong], 1, axis=1)
    networks = compare_networks(labels, np.arange(700), {"fp32": fp32, "int8": int8}, "", 1)
    assert networks["fp32"].allowed
    found = networks["int8"]
    assert found.allowed is allowed
    assert found.difference == pytest.approx(-wrong / 700)
    assert found.lesions == dict.fromkeys(DIAGNOSES, 100)
    assert found.agreement == pytest.approx(1 - wrong / 700)
    assert found.largest_difference == pytest.approx(0.93 if wrong else 0)


def test_images_of_one_lesion_are_not_taken_for_several() -> None:
    labels, fp32 = np.repeat(np.arange(7), 100), np.repeat(np.eye(7), 100, axis=0) * 0.93 + 0.01
    lesions = np.arange(700) // 10
    equal = compare_networks(labels, lesions, {"fp32": fp32, "int8": fp32}, "", 1)["int8"]
    assert equal.interval == (0.0, 0.0)
    assert not equal.allowed, "700 images of 70 lesions"
