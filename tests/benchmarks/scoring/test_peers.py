"""Systems that score: each gives the probabilities of every image, and wrong ones are found out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.harness import measure
from benchmarks.harness.agreement import OutputError
from benchmarks.harness.bucket import upload
from benchmarks.harness.bundle import Bundle
from benchmarks.harness.inputs import KINDS, Input, make_input
from benchmarks.harness.systems import LIMIT, US, System, scaled, systems_on
from benchmarks.scoring.agreement import check, exact_probabilities
from benchmarks.scoring.peers.common import SIZE, as_rows
from benchmarks.scoring.systems import SYSTEMS, command, limit_of
from skinml.labels import DIAGNOSES
from tests.conftest import REPOSITORY
from tests.services.seaweedfs import ObjectStore

BY_NAME = {system.name: system for system in SYSTEMS}


@pytest.fixture(scope="module")
def bundle(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A network of few weights, whose answers differ from image to image."""
    folder = tmp_path_factory.mktemp("bundle") / "models" / "small" / "v1"
    folder.mkdir(parents=True)
    weights = np.random.default_rng(3).normal(0, 0.3, (3, 7)).astype(np.float32)
    colours = [
        np.asarray(Image.open(file)).mean(axis=(0, 1)) for file in make_input(KINDS["q75"], 12, cache).files()
    ]
    shift = -np.mean(colours, axis=0).astype(np.float32) @ weights
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["product"]),
        helper.make_node("Add", ["product", "shift"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(DIAGNOSES)])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(shift, "shift")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return Bundle(folder.parents[2], folder)


def test_every_peer_of_the_table_is_there_and_a_trial_still_has_two_sizes() -> None:
    modules = {one.module for one in SYSTEMS if one.module} | {"bare_listing", "common", "__init__"}
    assert modules == {path.stem for path in (REPOSITORY / "benchmarks/scoring/peers").glob("*.py")}
    assert len(BY_NAME) == len(SYSTEMS)
    for system in SYSTEMS:
        assert limit_of(system.name) in BY_NAME
        for sizes in system.sizes.values():
            assert sizes == scaled(sizes, 1.0)
            small, large = scaled(sizes, 0.001)
            assert 8 <= small < large
    for place in ("folder", "bucket"):
        assert {LIMIT, US} <= {one.name for one in systems_on(place, SYSTEMS)}


def test_the_limit_scores_every_image_of_a_folder(given: Input, bundle: Bundle, tmp_path: Path) -> None:
    _run(BY_NAME[LIMIT], str(given.images), bundle, tmp_path / "sum")
    assert float((tmp_path / "sum").read_text(encoding="ascii")) == pytest.approx(12)
    assert check(tmp_path / "sum", BY_NAME[LIMIT], given, bundle) == {}
    (tmp_path / "sum").write_text("11.000", encoding="ascii")
    with pytest.raises(OutputError, match=r"11\.0 images where there are 12"):
        check(tmp_path / "sum", BY_NAME[LIMIT], given, bundle)


def test_peers_score_every_object_of_a_bucket(
    given: Input, bundle: Bundle, tmp_path: Path, opened: ObjectStore, shared_bucket: str
) -> None:
    upload(opened, shared_bucket, given)
    for name in (LIMIT, "s3fs"):
        system, out = BY_NAME[name], tmp_path / name
        _run(system, f"s3://{shared_bucket}/{given.count}", bundle, out, opened.environment())
        agreement = check(out, system, given, bundle)
        assert set(agreement) == (set() if name == LIMIT else {"same_class", "largest_difference"})
        assert agreement.get("largest_difference", 0.0) < 0.05


def test_skinml_scores_every_image(given: Input, trained: Path, tmp_path: Path) -> None:
    (manifest,) = (trained / "models").glob("*/*/manifest.json")
    bundle = Bundle(trained, manifest.parent)
    workspace = bundle.copy_to(tmp_path / "workspace")
    assert not (workspace / "scores").exists()
    _run(BY_NAME[US], str(given.images), bundle, workspace)
    agreement = check(workspace, BY_NAME[US], given, bundle)
    assert agreement["largest_difference"] < 0.05


def test_probabilities_that_are_missing_doubled_or_of_another_image_are_found_out(
    given: Input, bundle: Bundle, tmp_path: Path
) -> None:
    files = given.files()
    right = np.stack([exact_probabilities(file, bundle.folder / "model.onnx") for file in files])
    rows = as_rows([str(file) for file in files], right.astype(np.float32))
    system = BY_NAME["thesis"]
    for suffix, write in (("csv", pd.DataFrame.to_csv), ("parquet", pd.DataFrame.to_parquet)):
        out = tmp_path / f"scores.{suffix}"
        write(rows, out)
        agreement = check(out, system, given, bundle)
        assert agreement["same_class"] == 1
        assert agreement["largest_difference"] < 1e-6
    rows.iloc[:-1].to_csv(out)
    with pytest.raises(OutputError, match="11 rows about 11 images where there are 12"):
        check(out, system, given, bundle)
    pd.concat([rows, rows.iloc[:1]]).to_csv(out)
    with pytest.raises(OutputError, match="13 rows about 12 images where there are 12"):
        check(out, system, given, bundle)
    rows.assign(uri=rows["uri"].to_numpy()[::-1]).to_csv(out)
    with pytest.raises(OutputError, match="have the right class"):
        check(out, system, given, bundle)


def _run(system: System, images: str, bundle: Bundle, out: Path, more: dict[str, str] | None = None) -> None:
    environment = measure.clean_environment(out.parent / "prefect", more)
    measure.run(command(system, images, bundle, out), environment, REPOSITORY, out.with_suffix(".log"))
