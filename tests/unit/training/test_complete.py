"""Tests of skinml/training/complete.py: views, temperature and threshold are in the bundle's own files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.evaluation.operating import rates
from skinml.labels import malignant_probability
from skinml.models import zoo
from skinml.models.bundle import describe
from skinml.models.head import Head, check_head
from skinml.models.inference import infer
from skinml.models.views import turn
from skinml.models.zoo.base import Architecture
from skinml.monitoring.reference import parse_reference
from skinml.training.finish import finish
from skinml.training.jobs import FinishJob
from skinml.training.results import Finished
from tests.unit.models.networks import SIZE, images, write_network
from tests.unit.training.datasets import finish_job, fit_job, inputs_of, write_shards

COUNT = 600
PIXELS = images(COUNT)
TRAIN, VALIDATION, TEST = np.arange(200), np.arange(200, 400), np.arange(400, COUNT)
SMALL = Architecture("small", SIZE, lambda: None, "features1", ("Conv", "Relu"), cells="features2")


@dataclass(frozen=True)
class Done:
    """A network that was finished with four views and calibrated, and its labels."""

    job: FinishJob
    folder: Path
    plain: Path
    labels: np.ndarray
    finished: Finished


def _labels(network: Path) -> np.ndarray:
    """Labels as a network with these probabilities would be right about, but less sure than it is: T is 2."""
    views = [infer(network, [turn(PIXELS, view)], ["probabilities"])["probabilities"] for view in range(4)]
    flatter = np.mean(views, axis=0) ** 0.5
    flatter /= flatter.sum(axis=1, keepdims=True)
    chosen = (flatter.cumsum(axis=1) > np.random.default_rng(4).random((COUNT, 1))).argmax(axis=1)
    labels = np.where(np.arange(COUNT) < 7, np.arange(COUNT), chosen)
    return labels.astype(np.int64)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("complete")
    plain = write_network(folder / "plain.onnx", cells=True)
    labels, workspace = _labels(plain), str(folder / "workspace")
    inputs = inputs_of(write_shards(workspace, PIXELS, [250]), labels, TRAIN, VALIDATION, TEST)
    fit = fit_job(workspace, inputs, architecture="small")
    Path(fit.results).mkdir(parents=True)
    Path(fit.results, "model.onnx").write_bytes(plain.read_bytes())
    job = finish_job(
        fit,
        describe(plain.read_bytes()).sha256,
        results=str(folder / "bundle"),
        views=4,
        calibration="temperature",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(zoo.ARCHITECTURES, "small", SMALL)
        yield Done(job, folder / "bundle", plain, labels, finish(job, folder / "scratch"))


def test_the_files_give_what_is_recorded_of_them(done: Done) -> None:
    assert done.finished.precisions["int8"].failure is None
    for network in done.finished.precisions.values():
        calibration = network.calibration
        assert calibration is not None
        assert calibration.fitted
        assert calibration.temperature > 1.3
        assert (calibration.images, calibration.lesions) == (200, 200)
        found = infer(done.folder / str(network.file), [PIXELS], ["probabilities"])["probabilities"]
        there, here = (measure(done.labels[part], found[part])["ece"] for part in (VALIDATION, TEST))
        assert (calibration.ece_after, calibration.test_ece_after) == pytest.approx((there, here), abs=1e-3)
        assert calibration.test_ece_before is not None
        assert calibration.test_ece_before > (calibration.test_ece_after or 0)
        point = network.operating_point
        assert point is not None
        assert point.threshold is not None
        again = rates(done.labels[TEST], found[TEST], TEST, point.threshold, seed=done.job.seed)
        assert point.sensitivity == pytest.approx(again.sensitivity)
        assert point.specificity == pytest.approx(again.specificity)
        malignant = np.isin(done.labels[VALIDATION], [0, 1, 4])
        called = malignant_probability(found[VALIDATION]) >= point.threshold
        assert called[malignant].mean() >= 0.9
    fp32, int8 = (done.finished.precisions[name].calibration for name in ("fp32", "int8"))
    assert fp32 != int8, "each has a temperature of its own"


def test_the_probabilities_that_it_leaves_are_those_of_the_finished_network(done: Done) -> None:
    found = infer(done.folder / "model.onnx", [PIXELS], ["probabilities"])["probabilities"]
    for name, positions in (("probabilities", TEST), ("validation", VALIDATION)):
        left = np.load(done.folder / f"{name}.npy", allow_pickle=False)
        np.testing.assert_allclose(left, found[positions], atol=1e-5)


def test_the_reference_and_the_features_are_of_what_scoring_sees(done: Done) -> None:
    usual = parse_reference((done.folder / "reference.json").read_bytes(), "v").of("fp32", "v")
    held_out = np.concatenate([VALIDATION, TEST])
    found = infer(done.folder / "model.onnx", [PIXELS[held_out]], ["probabilities"])["probabilities"]
    assert usual.measures["confidence"].mean == pytest.approx(found.max(axis=1).mean(), rel=1e-4)
    with np.load(done.folder / "training-features.npz", allow_pickle=False) as arrays:
        expected = infer(done.plain, [PIXELS[TRAIN]], ["cells"])["cells"].mean(axis=(1, 2))
        np.testing.assert_allclose(arrays["features"], expected, rtol=2e-3)


def test_the_head_gives_the_first_view_at_the_recorded_temperature(done: Done) -> None:
    """So class activation maps stay sums over the cells, with several views and with a temperature."""
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(done.plain).graph.initializer}
    head = Head(weights["dense"][None, None].astype(np.float64) / SIZE**2, weights["bias"].astype(np.float64))
    calibration = done.finished.precisions["fp32"].calibration
    assert calibration is not None
    outputs = ["cells", "first_view", "probabilities"]
    found = infer(done.folder / "model.onnx", [PIXELS[:20]], outputs)
    check_head(head.tempered(calibration.temperature), found["cells"], found["first_view"])
    with pytest.raises(RunError, match="cells and head give other probabilities"):
        check_head(head, found["cells"], found["first_view"])
    assert np.abs(found["first_view"] - found["probabilities"]).max() > 1e-4


def test_images_that_were_drawn_twice_and_validated_on_test_are_not_calibrated_by(
    done: Done, tmp_path: Path
) -> None:
    """As in the thesis's protocol."""
    workspace = str(tmp_path / "workspace")
    inputs = inputs_of(
        write_shards(workspace, PIXELS, [250]), done.labels, TRAIN, np.repeat(TEST, 2), np.repeat(TEST, 2)
    )
    fit = fit_job(workspace, inputs, architecture="small")
    job = replace(done.job, workspace=workspace, inputs=fit.inputs, inputs_sha256=fit.inputs_sha256, views=1)
    finished = finish(replace(job, results=str(tmp_path / "bundle")), tmp_path / "scratch")
    for network in finished.precisions.values():
        assert network.calibration is not None
        assert network.calibration.temperature == 1
        assert network.calibration.reason == "the protocol has no validation images beside its test images"
        assert network.operating_point is not None
        assert network.operating_point.threshold is None
    assert np.load(tmp_path / "bundle" / "validation.npy").shape == (400, 7)
