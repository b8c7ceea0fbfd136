"""Tests of skinml/models/views.py and calls.py: a graph's views are those of the square, and cost no memory."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from skinml.errors import RunError
from skinml.models.calls import call, views_of
from skinml.models.inference import infer, mean_cells
from skinml.models.outliers import add_outliers
from skinml.models.views import add_views, check_views, turn
from tests.unit.models.networks import SIZE, images, write_network

PIXELS = images(20, seed=5).astype(np.float32)


def _network(path: Path, opset: int = 15) -> Path:
    """A finished network before its views. Its convolutions are not symmetric, so each view differs."""
    write_network(path, opset=opset, cells=True)
    add_outliers(path, [images(60).astype(np.float32)])
    return path


def test_the_views_are_the_eight_symmetries_of_the_square() -> None:
    image = np.arange(9).reshape(1, 3, 3, 1)
    found = {turn(image, number).tobytes() for number in range(8)}
    by_numpy = [
        np.rot90(side, quarter, axes=(1, 2)) for side in (image, image[:, ::-1]) for quarter in range(4)
    ]
    assert found == {view.tobytes() for view in by_numpy}
    assert len(found) == 8


@pytest.mark.parametrize("opset", [13, 15, 18])
@pytest.mark.parametrize("views", [2, 4, 8])
def test_the_graph_gives_the_mean_over_views_and_all_else_of_the_image_as_it_is(
    tmp_path: Path, views: int, opset: int
) -> None:
    plain = _network(tmp_path / "plain.onnx", opset)
    path = tmp_path / "views.onnx"
    path.write_bytes(plain.read_bytes())
    add_views(path, views)
    before = infer(plain, [PIXELS], ["probabilities", "unlike_training", "cells"])
    of_each = [
        infer(plain, [turn(PIXELS, number)], ["probabilities"])["probabilities"] for number in range(views)
    ]
    assert np.abs(of_each[1] - of_each[0]).max() > 1e-3, "the network tells views apart, or this shows nothing"
    found = infer(path, [PIXELS], ["probabilities", "first_view", "unlike_training", "cells"])
    np.testing.assert_allclose(found["probabilities"], np.mean(of_each, axis=0), atol=1e-6)
    np.testing.assert_allclose(found["first_view"], before["probabilities"], atol=1e-6)
    np.testing.assert_allclose(found["unlike_training"], before["unlike_training"], rtol=1e-4)
    np.testing.assert_allclose(found["cells"], before["cells"], atol=1e-5)
    np.testing.assert_allclose(mean_cells(path, [PIXELS]), before["cells"].mean(axis=(1, 2)), atol=1e-5)
    check_views(plain, path, views, PIXELS)
    graph = onnx.load(path).graph
    read = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} <= read, "onnxruntime warns of the others"


def test_one_view_changes_nothing_and_other_numbers_are_refused(tmp_path: Path) -> None:
    path = _network(tmp_path / "network.onnx")
    before = path.read_bytes()
    add_views(path, 1)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="3 views: there are 1, 2, 4 or 8"):
        add_views(path, 3)


def test_a_graph_whose_views_are_others_is_refused(tmp_path: Path) -> None:
    plain, path = _network(tmp_path / "plain.onnx"), _network(tmp_path / "views.onnx")
    add_views(path, 2)
    model = onnx.load(path)
    [axis] = [constant for constant in model.graph.initializer if constant.name == "views/columns"]
    axis.CopyFrom(onnx.numpy_helper.from_array(np.array([1], np.int64), axis.name))  # the other mirror
    onnx.save(model, path)
    with pytest.raises(RunError, match=r"its mean over 2 views differs by .* train with --views 1"):
        check_views(plain, path, 2, PIXELS)


def test_a_batch_of_many_views_is_never_larger_than_a_batch_without(tmp_path: Path) -> None:
    """The sizes of all batches that reach the network's own layers are seen from outside the session."""
    path = _network(tmp_path / "views.onnx")
    add_views(path, 8)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert views_of(session) == 8

    class Watched:
        def __init__(self) -> None:
            self.sizes: list[int] = []

        def __getattr__(self, name: str) -> object:
            return getattr(session, name)

        def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> object:
            self.sizes.append(len(inputs["pixels"]))
            return session.run(outputs, inputs)

    for count, sizes in ((20, [2] * 10), (17, [2] * 8 + [1]), (3, [1, 1, 1])):
        watched = Watched()
        [found] = call(watched, ["probabilities"], PIXELS[:count])
        assert watched.sizes == sizes
        [whole] = session.run(["probabilities"], {"pixels": PIXELS[:count]})
        np.testing.assert_allclose(found, whole, atol=1e-6)
    assert PIXELS.shape[1] == SIZE
