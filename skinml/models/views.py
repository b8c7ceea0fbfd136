"""Test-time views: a network that averages its probabilities over flips and quarter turns of the image.

A lesion has no upright position, so all eight symmetries of the square (the dihedral group D4) show the same
lesion. The mean of the probabilities over them is what Simonyan & Zisserman (arXiv:1409.1556, section 3.2) do
with flips. The views are made inside the ONNX graph, so whoever runs the file gets them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.labels import DIAGNOSES
from skinml.models.inference import infer
from skinml.models.outliers import OUTPUT_NAME as OUTLIERS
from skinml.models.outputs import FIRST_VIEW_NAME, INPUT_NAME, OUTPUT_NAME, VIEWS_KEY, Views

ROUNDING = 1e-5
"""The largest difference of a probability that float32 explains between the graph's views and views made
outside of it."""

_SPLIT_COUNTS = 18
"""The opset from which Split is told the number of its outputs."""


def turn(pixels: NDArray[Any], number: int) -> NDArray[Any]:
    """One view of images.

    >>> import numpy as np
    >>> image = np.arange(4).reshape(1, 2, 2, 1)
    >>> [turn(image, number)[0, :, :, 0].tolist() for number in (0, 1, 2, 4)]
    [[[0, 1], [2, 3]], [[1, 0], [3, 2]], [[2, 3], [0, 1]], [[0, 2], [1, 3]]]

    Args:
        pixels: (n, size, size, c).
        number: 0 to 7; 0 is the images themselves. Of its bits, 4 transposes, then 2 mirrors top to bottom and
            1 left to right.

    """
    turned = pixels.transpose(0, 2, 1, 3) if number & 4 else pixels
    return turned[:, :: -1 if number & 2 else 1, :: -1 if number & 1 else 1]


def add_views(path: Path, views: int) -> None:
    """Make the network at `path` average its probabilities over the first `views` views; 1 changes nothing.

    The views of a batch of n images are one batch of n x views images for the network. `cells` and
    `unlike_training` stay those of the image as it is; `first_view` has its probabilities.

    Args:
        path: an ONNX file with the input `pixels` and the output `probabilities`; replaced.
        views: 1, 2, 4 or 8.

    Raises:
        ValueError: there is no such number of views.

    """
    if views not in get_args(Views):
        raise ValueError(f"{views} views: there are 1, 2, 4 or 8")
    if views == 1:
        return
    import onnx

    model = onnx.load(path)
    graph = model.graph
    opset = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    outputs = {value.name: value for value in graph.output}
    stacked = f"views/{INPUT_NAME}"
    of_all = {name: f"views/{name}" for name in outputs}
    for node in graph.node:
        for references in (node.input, node.output):
            references[:] = [of_all.get(name, stacked if name == INPUT_NAME else name) for name in references]
    nodes = list(graph.node)
    del graph.node[:], graph.value_info[:]  # their shapes are of one view
    before, constants = _stacking(views, stacked)
    graph.initializer.extend(constants)
    graph.node.extend([*before, *nodes])
    for name in outputs:
        if name == OUTPUT_NAME:
            graph.node.extend(_averaging(of_all[name], views, opset))
        else:  # only the first view, which scoring judges and explaining shows
            rest = [f"{of_all[name]}/{number}" for number in range(1, views)]
            graph.node.append(_split(of_all[name], [name, *rest], opset))
    shape = ["batch", len(DIAGNOSES)]
    graph.output.append(onnx.helper.make_tensor_value_info(FIRST_VIEW_NAME, onnx.TensorProto.FLOAT, shape))
    entry = model.metadata_props.add()
    entry.key, entry.value = VIEWS_KEY, str(views)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def check_views(plain: Path, path: Path, views: int, pixels: NDArray[np.float32]) -> None:
    """Compare the graph's views with views made here.

    Args:
        plain: the network before `add_views`.
        path: the network after it.
        views: how many.
        pixels: a few images as the network takes them, (n, size, size, 3).

    Raises:
        RunError: a probability or a distance differs by more than rounding explains.

    """
    found = infer(path, [pixels], [OUTPUT_NAME, OUTLIERS])
    turned = [infer(plain, [turn(pixels, number)], [OUTPUT_NAME])[OUTPUT_NAME] for number in range(views)]
    as_it_is = infer(plain, [pixels], [OUTLIERS])[OUTLIERS]
    difference = float(np.abs(found[OUTPUT_NAME] - np.mean(turned, axis=0)).max())
    if not (difference <= ROUNDING and np.allclose(found[OUTLIERS], as_it_is, rtol=1e-3, atol=1e-4)):
        raise RunError(
            f"{path.name}: its mean over {views} views differs by {difference:.1e} in a probability from views"
            " made outside of it, so it must not score; train with --views 1"
        )


def _stacking(views: int, stacked: str) -> tuple[list[Any], list[Any]]:
    """Nodes from `pixels`, (n, size, size, 3), to all views below each other, (views x n, ...); constants."""
    from onnx import helper, numpy_helper

    # A slice from the last place back to the first: ONNX has no other name for the place before the first.
    slices = {"last": -1, "first": np.iinfo(np.int64).min, "back": -1, "rows": 1, "columns": 2}
    if views == 2:
        del slices["rows"]  # onnxruntime warns of a constant that nobody reads
    constants = [
        numpy_helper.from_array(np.array([value], np.int64), f"views/{name}") for name, value in slices.items()
    ]

    def mirrored(source: str, axis: str, target: str) -> Any:
        ends = [f"views/{name}" for name in ("last", "first", axis, "back")]
        return helper.make_node("Slice", [source, *ends], [target], target)

    nodes, made = [], []
    for number in range(views):
        name = INPUT_NAME
        if number & 4:
            name, source = "views/transposed", name
            if number == 4:
                nodes.append(helper.make_node("Transpose", [source], [name], name, perm=[0, 2, 1, 3]))
        for bit, axis in ((2, "rows"), (1, "columns")):
            if number & bit:
                name, source = f"views/{number}/{axis}", name
                nodes.append(mirrored(source, axis, name))
        made.append(name)
    return [*nodes, helper.make_node("Concat", made, [stacked], stacked, axis=0)], constants


def _averaging(source: str, views: int, opset: int) -> list[Any]:
    """Nodes from the probabilities of all views to their mean, and to those of the first view."""
    from onnx import helper

    parts = [f"{source}/{number}" for number in range(views)]
    return [
        _split(source, parts, opset),
        helper.make_node("Mean", parts, [OUTPUT_NAME], "views/mean"),
        helper.make_node("Identity", parts[:1], [FIRST_VIEW_NAME], f"views/{FIRST_VIEW_NAME}"),
    ]


def _split(source: str, parts: list[str], opset: int) -> Any:
    """A node that cuts a batch of views into its views."""
    from onnx import helper

    count = {"num_outputs": len(parts)} if opset >= _SPLIT_COUNTS else {}
    return helper.make_node("Split", [source], parts, f"{source}/split", axis=0, **count)
