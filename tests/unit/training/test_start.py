"""Tests of skinml/training/start.py: what a fit starts from, and what is refused before a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skinml.errors import RequestError, RunError
from skinml.models import zoo
from skinml.models.zoo.base import Download
from skinml.training.jobs import RANDOM, Start
from skinml.training.start import build_model, check_start, choose_start, placed, to_json

LITE0 = zoo.ARCHITECTURES["efficientnet-lite0"]


@pytest.fixture(scope="module")
def thesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with weights of the thesis's network."""
    import keras

    keras.utils.set_random_seed(3)
    path = tmp_path_factory.mktemp("start") / "model.keras"
    zoo.architecture("thesis-cnn").build().save(path)
    return path


def test_the_default_is_imagenet_where_there_are_such_weights() -> None:
    assert choose_start("thesis-cnn", None) == choose_start("efficientnet-lite0", "none") == (RANDOM, None)
    start, file = choose_start("linear-probe", None)
    assert (start, file) == (choose_start("linear-probe", "imagenet")[0], None)
    assert LITE0.weights is not None
    assert to_json(start) == {
        "source": LITE0.weights.source,
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "licence": "Apache-2.0",
    }
    assert to_json(RANDOM) is None


@pytest.mark.parametrize(
    ("model", "weights", "words"),
    [
        (
            "linear-probe",
            "none",
            "--weights none: linear-probe fits its last layer alone, so it needs weights for",
        ),
        ("thesis-cnn", "imagenet", "--weights imagenet: thesis-cnn has no such weights: give PATH or none"),
        (
            "thesis-cnn",
            "/no/such/file",
            "--weights /no/such/file: is not there; give imagenet, none, or a file",
        ),
        ("vgg16", None, "no architecture is called 'vgg16'"),
    ],
)
def test_what_cannot_be_started_from_is_refused(model: str, weights: str | None, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        choose_start(model, weights)


def test_another_hash_than_the_pinned_one_is_refused(thesis: Path) -> None:
    found = hashlib.sha256(thesis.read_bytes()).hexdigest()
    start, data = choose_start("thesis-cnn", str(thesis), found.upper())
    assert (start, data) == (Start("file", str(thesis), found), thesis.read_bytes())
    with pytest.raises(
        RequestError, match=rf"SHA-256 {found[:12]}…, not the 000000000000… of --weights-sha256"
    ):
        choose_start("thesis-cnn", str(thesis), "0" * 64)
    with pytest.raises(
        RequestError, match="--weights-sha256 000000000000… belongs to --weights PATH, not to none"
    ):
        choose_start("thesis-cnn", None, "0" * 64)


def test_weights_that_cannot_be_fetched_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    shape = zoo.ARCHITECTURES["mobilenetv3-small"]
    assert isinstance(shape.weights, Download)
    weights = replace(shape.weights, source="http://127.0.0.1:9/net.h5")
    monkeypatch.setitem(zoo.ARCHITECTURES, shape.name, replace(shape, weights=weights))
    with pytest.raises(
        RequestError, match=r"net\.h5 cannot be fetched .* give --weights PATH, or --weights none"
    ):
        choose_start(shape.name, None)
    (tmp_path / "net.h5").write_bytes(b"weights")
    fetched = replace(
        weights,
        source=(tmp_path / "net.h5").as_uri(),
        md5=hashlib.md5(b"weights").hexdigest(),  # noqa: S324
    )
    monkeypatch.setitem(zoo.ARCHITECTURES, shape.name, replace(shape, weights=fetched))
    start, data = choose_start(shape.name, None)
    assert (start.kind, start.licence, data) == ("file", "Apache-2.0", b"weights")


def test_a_fit_starts_from_the_file_that_was_checked(thesis: Path, tmp_path: Path) -> None:
    import keras

    start, data = choose_start("thesis-cnn", str(thesis))
    job = placed(start, data, f"{tmp_path}/weights")
    model = build_model(zoo.architecture("thesis-cnn"), job)
    expected = keras.models.load_model(thesis, compile=False).get_weights()
    for found, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    (tmp_path / "weights").write_bytes(b"other")
    with pytest.raises(RunError, match="is not what the job names; train again"):
        build_model(zoo.architecture("thesis-cnn"), job)
    assert placed(RANDOM, None, "/nowhere") == RANDOM
    assert json.dumps(to_json(job)) == json.dumps(to_json(start)), "the workspace's copy is no source"


def test_a_file_of_another_architecture_is_refused_before_the_run(thesis: Path) -> None:
    start, data = choose_start("linear-probe", str(thesis))
    with pytest.raises(
        RequestError,
        match=rf"^--weights {thesis}: is of another architecture than linear-probe: layer 1 with weights,"
        " stem_conv, has 3x3x3x32, and there it is conv2d with 3x3x3x256, 256$",
    ):
        check_start("linear-probe", start, data)
