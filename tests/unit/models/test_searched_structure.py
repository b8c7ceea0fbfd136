"""Tests of searched_structure.py and searched_cnn.py: text, size and network of a structure agree."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skinml.errors import RequestError
from skinml.models.head import check_head
from skinml.models.inference import infer
from skinml.models.keras_head import linear_head
from skinml.models.onnx import check_parity, export_onnx
from skinml.models.searched_structure import THESIS, Structure, cost, parse_structure
from skinml.models.zoo import architecture, thesis_cnn

COLOURS = (0.76, 0.55, 0.57, 0.14, 0.15, 0.17)
VARIED = (
    THESIS,
    Structure(((16,),), pooling=False, reduction="mean"),
    Structure(((16, 32), (8,)), kernel=7, separable=True, dropout=0.25, reduction="max", normalise=COLOURS),
    Structure(((8,), (16, 8), (4,)), kernel=5, dense=32, head_dropout=0.5, normalise=COLOURS),
    Structure(((8, 8), (8, 8), (8, 8)), kernel=7, pooling=False, reduction="mean"),
)


@pytest.mark.parametrize("structure", VARIED, ids=lambda one: str(one.filters))
def test_the_text_of_a_structure_is_read_as_the_same_one(structure: Structure) -> None:
    assert parse_structure(str(structure)) == structure
    shape = architecture(f"searched-cnn:{structure}")
    assert shape.name == "searched-cnn"
    assert shape.model == f"searched-cnn:{structure}"
    assert shape.to_json()["structure"] == str(structure)


@pytest.mark.parametrize("structure", VARIED, ids=lambda one: str(one.filters))
def test_the_parameters_are_those_of_the_network_that_keras_builds(structure: Structure) -> None:
    model = architecture(f"searched-cnn:{structure}").build()
    assert model.count_params() == cost(structure).parameters
    assert model.output_shape == (None, 7)


def test_multiply_adds_are_positions_times_weights() -> None:
    by_hand = 30 * 30 * 27 * 256 + 13 * 13 * 9 * 256 * 128 + 4 * 4 * 9 * 128 * 64 + 256 * 32 + 32 * 7
    assert cost(THESIS).multiply_adds == by_hand
    separable = replace(THESIS, separable=True)
    first = 30 * 30 * (9 * 3 + 3 * 256)
    assert cost(
        replace(separable, filters=((256,),), dense=0, pooling=False, reduction="mean")
    ).multiply_adds == (first + 256 * 7)


def test_the_thesis_network_is_built_layer_by_layer_as_thesis_cnn() -> None:
    ours, theirs = architecture(f"searched-cnn:{THESIS}").build(), thesis_cnn.build()
    assert cost(THESIS).parameters == thesis_cnn.PARAMETERS
    described = [
        [
            (type(one).__name__, one.output.shape, getattr(one, "rate", None), _activation(one))
            for one in model.layers
        ]
        for model in (ours, theirs)
    ]
    assert described[0] == described[1]


def _activation(layer: object) -> str | None:
    return getattr(getattr(layer, "activation", None), "__name__", None)


def test_what_is_exported_gives_the_same_probabilities_and_cells(tmp_path: Path) -> None:
    """With one block, features and cells are one layer; colours are constants of the graph and no inputs."""
    shape = architecture(f"searched-cnn:{Structure(((8,),), kernel=5, separable=True, normalise=COLOURS)}")
    model, path = shape.build(), tmp_path / "model.onnx"
    export_onnx(model, path, shape.features, shape.cells)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    assert check_parity(model, path, pixels) < 1e-4
    found = infer(path, [pixels], ["cells", "features", "probabilities"])
    assert shape.cells is not None
    check_head(linear_head(model, shape.cells), found["cells"], found["probabilities"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is no part of it"),
        ("kernel=3", "it names no filters"),
        ("filters=256-128-64,kernel=4", "kernel=4 is not possible"),
        ("filters=256-128-64-32", "filters=256-128-64-32 is not possible"),
        ("filters=8+8+8", "is not possible"),
        ("filters=1024", "filters=1024 is not possible"),
        ("filters=8,dropout=1", "dropout=1 is not possible"),
        ("filters=8,dropout=nan", "dropout=nan is not possible"),
        ("filters=8,filters=8", "'filters' is there twice"),
        ("filters=8,normalise=1/1/1/0/1/1", "is not possible"),
        ("filters=8,attention=yes", "'attention' is no part of it"),
    ],
)
def test_a_structure_that_is_none_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=r"upgrade skinml if a later version found it") as refusal:
        architecture(f"searched-cnn:{text}")
    assert problem in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_name_alone_names_no_network() -> None:
    with pytest.raises(RequestError, match=r"^searched-cnn alone names no network: run skinml search"):
        architecture("searched-cnn")


def test_it_can_be_imported_first_and_loads_no_keras() -> None:
    script = (
        "import sys, skinml.models.searched_cnn as one\n"
        "one.searched_architecture('searched-cnn:filters=8').to_json()\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
