"""The score benchmark's peers, checks, simulated S3 and document. What anything takes decides no test."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import obstore
import onnx
import pandas as pd
import pytest
from obstore.store import S3Store
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks import inputs, markdown, measure
from benchmarks.bench import Bench, Result
from benchmarks.figures import ratio, speeds
from benchmarks.inputs import KINDS, Input, make_input
from benchmarks.score import failures
from benchmarks.scoring import figures, listing_server, render
from benchmarks.scoring.agreement import ScoreError, check, exact_probabilities
from benchmarks.scoring.bundle import Bundle, permit_int8
from benchmarks.scoring.fill import fill
from benchmarks.scoring.peers.common import SIZE, as_rows
from benchmarks.scoring.sections import network
from benchmarks.scoring.systems import SYSTEMS, System, systems_of
from benchmarks.sections.bucket import upload
from benchmarks.systems import LIMIT, US, scaled
from skinml import tables
from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models import registry
from skinml.models.allowed import network_file
from skinml.storage import connection
from skinml.storage.listing import list_images
from tests.conftest import REPOSITORY
from tests.services.seaweedfs import ObjectStore

BY_NAME = {system.name: system for system in SYSTEMS}
SCALE = {
    "machine": {
        **{"processor": "a processor", "cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11"},
        **{"libraries": {"skinml": "0.1.0"}, "date": "2026-11-24"},
    },
    **{"sources": "made-up images", "scale": 1.0, "repetitions": 3, "took_seconds": 1.0},
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """Twelve images of 600x450."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "REAL", folder / "not there")
        patch.setattr(inputs, "MADE_UP", 8)
        return make_input(KINDS["q75"], 12, folder)


@pytest.fixture(scope="module")
def bundle(given: Input, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A network of few weights, whose answers differ from image to image."""
    folder = tmp_path_factory.mktemp("bundle") / "models" / "small" / "v1"
    folder.mkdir(parents=True)
    weights = np.random.default_rng(3).normal(0, 0.3, (3, 7)).astype(np.float32)
    colours = [np.asarray(Image.open(file)).mean(axis=(0, 1)) for file in given.files()]
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


# --- Systems and their checks ---------------------------------------------------------------------------


def test_every_peer_of_the_table_is_there_and_a_trial_still_has_two_sizes() -> None:
    modules = {one.module for one in SYSTEMS if one.module} | {"common", "__init__"}
    assert modules == {path.stem for path in (REPOSITORY / "benchmarks/scoring/peers").glob("*.py")}
    assert len(BY_NAME) == len(SYSTEMS)
    for system in SYSTEMS:
        assert system.limit in BY_NAME
        for sizes in system.sizes.values():
            assert sizes == scaled(sizes, 1.0)
            small, large = scaled(sizes, 0.001)
            assert 8 <= small < large
    for place in ("folder", "bucket"):
        assert {LIMIT, US} <= {one.name for one in systems_of(place)}


def test_the_limit_scores_every_image_of_a_folder(given: Input, bundle: Bundle, tmp_path: Path) -> None:
    _run(BY_NAME[LIMIT], str(given.images), bundle, tmp_path / "sum")
    assert float((tmp_path / "sum").read_text(encoding="ascii")) == pytest.approx(12)
    assert check(tmp_path / "sum", BY_NAME[LIMIT], given, bundle) is None
    (tmp_path / "sum").write_text("11.000", encoding="ascii")
    with pytest.raises(ScoreError, match=r"11\.0 images where there are 12"):
        check(tmp_path / "sum", BY_NAME[LIMIT], given, bundle)


def test_the_network_alone_is_timed_on_every_core_and_its_operations_are_counted(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (manifest,) = trained.glob("models/*/*/manifest.json")
    monkeypatch.setattr(network, "make_bundle", lambda bench: Bundle(trained, manifest.parent))
    found = network.measure(Bench(tmp_path, scale=0.02, repetitions=2))
    # 256 filters of 3 x 3 x 3 at 30 x 30 places, 128 of 3 x 3 x 256 at 13 x 13, 64 of 3 x 3 x 128 at 4 x 4, two
    # dense layers, and the outlier score's matrix.
    convolutions = 256 * 27 * 30**2 + 128 * 2304 * 13**2 + 64 * 1152 * 4**2
    assert found["flop"] == 2 * (convolutions + 256 * 32 + 32 * 7 + 256**2)
    assert [len(found[name]) for name in ("fp32", "int8", "matrices")] == [2, 2, 2]
    assert min(found["fp32"] + found["int8"] + found["matrices"]) > 0


def test_its_own_bundle_may_be_timed_in_int8(trained: Path, tmp_path: Path) -> None:
    """Training says of so few lesions that they show nothing."""
    workspace = tmp_path / "workspace"
    shutil.copytree(trained / "models", workspace / "models")
    with pytest.raises(RequestError, match=r"^--precision int8: .* may not score so: .* cannot be shown with"):
        network_file(registry.find(str(workspace), "champion"), "int8")
    (manifest,) = workspace.glob("models/*/*/manifest.json")
    permit_int8(manifest)
    assert network_file(registry.find(str(workspace), "champion"), "int8") == "model-int8.onnx"


def test_peers_score_every_object_of_a_bucket(
    given: Input, bundle: Bundle, tmp_path: Path, opened: ObjectStore, shared_bucket: str
) -> None:
    upload(opened, shared_bucket, given)
    for name in (LIMIT, "s3fs"):
        system, out = BY_NAME[name], tmp_path / name
        _run(system, f"s3://{shared_bucket}/{given.count}", bundle, out, opened.environment())
        agreement = check(out, system, given, bundle)
        assert agreement is None or agreement.largest_difference < 0.05


def test_skinml_scores_every_image(given: Input, trained: Path, tmp_path: Path) -> None:
    (manifest,) = (trained / "models").glob("*/*/manifest.json")
    bundle = Bundle(trained, manifest.parent)
    workspace = bundle.copy_to(tmp_path / "workspace")
    assert not (workspace / "scores").exists()
    _run(BY_NAME[US], str(given.images), bundle, workspace)
    agreement = check(workspace, BY_NAME[US], given, bundle)
    assert agreement is not None
    assert agreement.largest_difference < 0.05


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
        assert agreement is not None
        assert agreement.same_class == 1
        assert agreement.largest_difference < 1e-6
    rows.iloc[:-1].to_csv(out)
    with pytest.raises(ScoreError, match="11 rows about 11 images where there are 12"):
        check(out, system, given, bundle)
    pd.concat([rows, rows.iloc[:1]]).to_csv(out)
    with pytest.raises(ScoreError, match="13 rows about 12 images where there are 12"):
        check(out, system, given, bundle)
    rows.assign(uri=rows["uri"].to_numpy()[::-1]).to_csv(out)
    with pytest.raises(ScoreError, match="have the right class"):
        check(out, system, given, bundle)


def _run(system: System, images: str, bundle: Bundle, out: Path, more: dict[str, str] | None = None) -> None:
    environment = measure.clean_environment(out.parent / "prefect", more)
    measure.run(system.command(images, bundle, out), environment, REPOSITORY, out.with_suffix(".log"))


# --- Known objects --------------------------------------------------------------------------------------


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A simulated archive of 5,200 objects, and the environment that opens it."""
    pages = {first: listing_server.contents(first, first + 1_000) for first in (0, 1_000, 2_000)}
    server = listing_server.serve(pages, 0.0)
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in listing_server.environment(endpoint).items():
        monkeypatch.setenv(name, value)
    yield listing_server.url(5_200)
    server.shutdown()
    server.server_close()


def test_the_simulated_s3_lists_every_object_once_and_goes_on_where_it_is_asked_to(simulated: str) -> None:
    uris = [uri for piece in list_images(simulated) for uri in piece.images["uri"].to_pylist()]
    assert uris == [f"s3://known-5200/{listing_server.key(number)}" for number in range(5_200)]
    store = S3Store("known-5200", client_options={"allow_http": True})
    pages = obstore.list(store, "archive", offset=listing_server.key(1_499), return_arrow=True)
    keys = [key for page in pages for key in page["path"].to_pylist()]
    assert keys == [listing_server.key(number) for number in range(1_500, 5_200)]
    assert not list(list_images(simulated.replace("archive", "elsewhere")))
    found = connection.file_system().find("known-5200/archive")
    assert found == [f"known-5200/{key}" for key in map(listing_server.key, range(5_200))]


def test_a_filled_workspace_knows_every_object(simulated: str, tmp_path: Path) -> None:
    workspace = str(tmp_path / "workspace")
    assert fill(workspace, simulated, "thesis-cnn", "v1") == 5_200
    known = tables.read(workspace, "scores", ["uri", "etag", "size_bytes"]).to_pylist()
    listed = [row for piece in list_images(simulated) for row in piece.images.to_pylist()]
    assert sorted(map(tuple, (row.values() for row in known))) == sorted(
        (row["uri"], row["etag"], row["size_bytes"]) for row in listed
    )


def test_what_a_known_object_costs_is_a_slope_beside_that_of_its_listing() -> None:
    empty = {"objects": 0, "seconds": [3.0, 3.0, 9.0], "listing": [1.0, 1.0, 1.0], "driver_mb": [200.0] * 3}
    rows = {"objects": 1_000_000, "seconds": [15.0, 13.0, 8.0], "listing": [11.0, 11.0, 11.0]}
    first, night = figures.known_nights([empty, {**rows, "driver_mb": [300.0, 310.0, None]}])
    assert night.night_microseconds == pytest.approx(10)
    assert night.listing_microseconds == pytest.approx(10)
    assert night.times == pytest.approx(1.1)  # 1.2, 1.0, and one that noise ate
    assert night.driver_mb == 310
    assert (first.times, first.night_microseconds) == (None, None)


# --- The document ---------------------------------------------------------------------------------------


def _made_up() -> Result:
    """Figures of every section, as a run would leave them."""

    def contest(place: str) -> Result:
        systems = {
            one.name: {
                **{"title": one.title, "images": [100, 1_100], "seconds": [[1.0], [2.0 + number]]},
                **{"same_class": 0.975, "largest_difference": 0.07, "error": None},
            }
            for number, one in enumerate(systems_of(place))
        }
        memory = {US: {"images": 1_100, "driver_mb": 250.0, "worker_mb": 220.0}}
        return {"title": f"from a {place}", "bytes": 24_000.0, "systems": systems, "memory": memory}

    night = {"seconds": [3.0], "listing": [0.1], "driver_mb": [240.0]}
    rows = [{"objects": 0, **night}, {"objects": 1_000_000, **night, "seconds": [25.0], "listing": [20.1]}]
    known = {"page_ms": 20, "places": dict.fromkeys(("real", "paced", "unpaced"), rows)}
    alone = {"flop": 112_000_000, "fp32": [1_120.0], "int8": [400.0], "matrices": [125.0]}
    found = {"network": alone, "folder": contest("folder"), "bucket": contest("bucket"), "known": known}
    return {name: {**SCALE, "figures": part} for name, part in found.items()}


def test_the_section_shows_every_system_every_night_and_every_promise(tmp_path: Path) -> None:
    (tmp_path / render.RESULTS).parent.mkdir(parents=True)
    (tmp_path / render.RESULTS).write_text(json.dumps(_made_up()), encoding="utf-8")
    render.write(tmp_path)
    document = (tmp_path / markdown.DOCUMENT).read_text(encoding="utf-8")
    assert markdown.put_between(document, "score", render.section(_made_up())) == document
    for system in SYSTEMS:
        assert document.count(system.title) >= len(system.sizes)
    assert "| simulated, 20 ms a page | 1,000,000 | 25.00 | 20.10 | 22.0 | 20.0 | 1.10 x | 240 |" in document
    folder = speeds(_made_up()["folder"]["figures"])
    ahead = [markdown.times(ratio(folder[LIMIT], folder[peer])) for peer in ("tf_data", "ray_data")]
    said = f"is itself {ahead[0]} tf.data + Keras and {ahead[1]} Ray Data:"
    assert said in " ".join(document.split())
    assert "| the network in fp32 | 1,120 | 893 | 100 |" in document
    assert "In fp32 it makes them at 0.80 times the rate" in " ".join(document.split())
    assert document.count("| yes |") + document.count("| **no** |") == len(figures.targets(_made_up())) == 8
    assert (tmp_path / render.PLOT).read_bytes().startswith(b"\x89PNG")
    assert {one.met for one in figures.targets({})} == {None}


def test_each_section_alone_makes_a_document() -> None:
    for name, part in _made_up().items():
        assert "### What was promised" in render.section({name: part})


def test_a_system_that_failed_is_named_in_table_and_exit_code() -> None:
    found = _made_up()
    found["folder"]["figures"]["systems"]["thesis"]["error"] = "out of memory"
    assert failures(found) == ["the thesis script on from a folder: out of memory"]
    assert "| failed: out of memory |" in render.section(found)


def test_the_document_says_what_was_recorded() -> None:
    document = (REPOSITORY / markdown.DOCUMENT).read_text(encoding="utf-8")
    results = REPOSITORY / render.RESULTS
    recorded = render.section(json.loads(results.read_text(encoding="utf-8"))) if results.exists() else ""
    assert markdown.put_between(document, "score", recorded).split() == document.split()
    assert not re.search(r"/(?:home|root|Users|tmp|work)/\w", recorded)
    assert not results.exists() or (REPOSITORY / render.PLOT).read_bytes().startswith(b"\x89PNG")
