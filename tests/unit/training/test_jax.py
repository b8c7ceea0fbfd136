"""Training on JAX, on a machine without TensorFlow: the fit is kept, and exported where TensorFlow is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skinml.training.checkpoints import saved_epochs
from skinml.training.dispatch import run_job
from skinml.training.jobs import FIT, FitJob
from skinml.training.settings import NAMED, PLAIN, Settings
from tests.conftest import REPOSITORY
from tests.unit.training.datasets import fit_job, inputs_of, write_shards

pytestmark = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")

LABELS = (np.arange(112) % 7).astype(np.int64)

HIDE = """
import sys

class Without:
    '''Does not find some packages. Keras asks sys.modules for TensorFlow, so None there is no way.'''

    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in ("tensorflow", "tf2onnx", "onnx")
        return None if hidden else self._finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
"""
RUN = """
import json, sys
from pathlib import Path
from skinml.errors import RunError
from skinml.training.dispatch import run_job
from skinml.training.jobs import FIT
if __name__ == "__main__":
    epochs = []
    try:
        run_job(FIT.validate_json(sys.argv[1]), Path(sys.argv[2]), lambda _, values: epochs.append(values))
        said = ""
    except RunError as error:
        said = str(error)
    print(json.dumps({"epochs": epochs, "said": said}))
"""


STEPS = """
import json, sys
import keras, numpy as np
from dataclasses import replace
from skinml.models.zoo.base import Architecture
from skinml.training.batch import Batch
from skinml.training.learner import Learner
from skinml.training.settings import NAMED

def build():
    layers = keras.layers
    return keras.Sequential([
        layers.Input((4, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(),
        layers.Dense(8, activation="relu"),
        layers.BatchNormalization(), layers.Dropout(0.1), layers.Dense(7, activation="softmax")])

settings = replace(NAMED["fine-tuning"].settings, learning_rate=0.01, precision=sys.argv[1])
shares = np.full(7, 1 / 7)
labels = np.arange(28) % 7
pixels = (labels[:, None, None, None] * 36 * np.ones((1, 4, 4, 3))).astype(np.uint8)
batch = Batch(pixels, np.eye(7, dtype=np.float32)[labels], None)

def learner():
    keras.utils.set_random_seed(1)
    return Learner(Architecture("tiny", 4, build, ""), settings, shares, steps=10, epochs=4)

one = learner()
first = one.model.layers[2].get_weights()[0]
losses = []
for epoch in (1, 2, 3):
    one.begin(epoch)
    losses.append(one.fit([batch] * 10)["loss"])
    kept = one.settle()
    one.scorer.predict(pixels, verbose=0)
    state = one.state()
    if epoch == 1:
        frozen = bool((first == one.model.layers[2].get_weights()[0]).all())
lag = float(np.abs(kept[0] - one.model.get_weights()[0]).max())
one.begin(4)
continued = one.fit([batch] * 10)["loss"]
two = learner()
two.begin(3)
two.restore(state)
two.begin(4)
again = two.fit([batch] * 10)["loss"]
print(json.dumps({"losses": losses, "frozen": frozen, "lag": lag, "continued": continued, "again": again,
                  "tensorflow": "tensorflow" in sys.modules}))
"""


def _job(workspace: Path, **changes: Any) -> FitJob:
    noise = np.random.default_rng(0).normal(0, 20, (112, 32, 32, 3))
    pixels = (noise + 20 + 35 * LABELS[:, None, None, None]).clip(0, 255).astype(np.uint8)
    shards = write_shards(str(workspace), pixels, [50])
    inputs = inputs_of(shards, LABELS, np.arange(64), np.arange(64, 88), np.arange(88, 112))
    return fit_job(str(workspace), inputs, **changes)


def _without_tensorflow(job: FitJob, folder: Path) -> dict[str, Any]:
    """Fit in a process on JAX that cannot import TensorFlow; what it said."""
    return _run(RUN, folder, FIT.dump_json(job).decode(), str(folder / "copies"))


def _run(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a script on JAX without TensorFlow; the object that it prints."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(HIDE)
    (folder / "run.py").write_text(script)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(REPOSITORY)]),
    }
    command = [sys.executable, str(folder / "run.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.drill)])
def test_steps_without_tensorflow(tmp_path: Path, precision: str) -> None:
    """All parts of the recipe on a network of one layer and a head, and a state that is given back."""
    answer = _run(STEPS, tmp_path, precision)
    assert answer["tensorflow"] is False
    assert np.isfinite(answer["losses"]).all()
    assert answer["losses"][-1] < answer["losses"][0]
    assert answer["frozen"] is True
    assert answer["lag"] > 0, "the average is not the last weights"
    assert answer["again"] == answer["continued"]


@pytest.mark.drill
def test_a_fit_without_tensorflow_is_kept_and_exported_where_it_is(tmp_path: Path) -> None:
    job = _job(tmp_path / "workspace", settings=replace(PLAIN, learning_rate=0.003), epochs=4, export=True)
    answer = _without_tensorflow(job, tmp_path)
    losses = [epoch["loss"] for epoch in answer["epochs"]]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert answer["said"].startswith(
        "the fit is done, but tensorflow, tf2onnx, onnx for exporting it to ONNX is not"
    )
    assert saved_epochs(job) == 4

    told: list[int] = []
    result = run_job(job, tmp_path / "copies", lambda epoch, _: told.append(epoch))
    assert told == [], "nothing is fitted again"
    assert result.history["loss"] == losses
    assert {"model.keras", "model.onnx", "head.npz"} <= set(result.files)
    assert result.parity is not None
    assert result.parity <= 1e-4


@pytest.mark.drill
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fine_tuning_on_jax(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts of the recipe; TensorFlow is there, so it is exported at once."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    settings: Settings = replace(NAMED["fine-tuning"].settings, precision=precision)  # type: ignore[arg-type]
    job = _job(tmp_path / "workspace", settings=settings, epochs=3, export=True)
    result = run_job(job, tmp_path / "copies")
    assert result.libraries["backend"] == "jax"
    assert np.isfinite(result.history["loss"]).all()
    assert result.best_epoch == 3
    assert result.parity is not None
    assert result.parity <= 1e-4
