"""Tests of skinml/scoring/predict.py: bytes to rows, each row of the image it names."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from skinml import tables
from skinml.errors import RequestError
from skinml.images.decode import decode
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES
from skinml.layout import table_url
from skinml.models.session import load_session, predict
from skinml.schemas import LISTING, PROBABILITY_COLUMNS, QUARANTINE, SCORES
from skinml.scoring.predict import (
    BATCH,
    FEWEST,
    MOST,
    ScoreJob,
    ScoringModel,
    images_per_shard,
    score_jobs,
    score_rows,
    score_shard,
)
from skinml.storage.listing import list_images
from skinml.storage.objects import names, read_bytes, write_bytes
from tests.hostile.make import save
from tests.unit.images.profiles import ADOBE, from_srgb, gamma, rgb_profile

Jpeg = Callable[..., bytes]

SIZE = 8
DAY = date(2026, 1, 31)
WEIGHTS = (np.random.default_rng(0).normal(size=(3, 7)) / 40).astype(np.float32)
"""Mean colour to logits: images of other colours get other probabilities."""


# What the tests of scoring share


def network(size: int = SIZE) -> bytes:
    """A tiny ONNX network like those that are registered: pixels (n, size, size, 3) to softmax of 7."""
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            onnx.helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            onnx.helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "mean colour",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, ["batch", size, size, 3])],
        [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["batch", 7])],
        [
            onnx.numpy_helper.from_array(np.array([1, 2], dtype=np.int64), "axes"),
            onnx.numpy_helper.from_array(WEIGHTS, "weights"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def expected(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the network says, in NumPy."""
    logits = pixels.astype(np.float64).mean(axis=(1, 2)) @ WEIGHTS.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def registered(
    place: str, data: bytes | None = None, preprocessing: Preprocessing | None = None
) -> ScoringModel:
    """A model as a worker gets it."""
    data = data or network()
    url = f"{place}/models/tiny/v1/model.onnx"
    write_bytes(url, data)
    return ScoringModel(
        "tiny", "v1", url, hashlib.sha256(data).hexdigest(), preprocessing or Preprocessing(SIZE)
    )


def listing_of(place: str) -> pd.DataFrame:
    table = pa.Table.from_batches([piece.images for piece in list_images(place)], LISTING)
    found: pd.DataFrame = table.to_pandas()
    return found.sort_values("uri", ignore_index=True)


def shard(listing: pd.DataFrame) -> pa.Table:
    """The rows of a listing as a worker gets them."""
    return pa.Table.from_pandas(listing, LISTING, preserve_index=False)


def part_rows(workspace: str, table: str, part: tables.Part | None) -> list[dict[str, object]]:
    assert part is not None
    found = pq.read_table(io.BytesIO(read_bytes(f"{table_url(workspace, table)}/{part.path}")))
    rows: list[dict[str, object]] = found.to_pylist()
    return rows


def plain(seed: int) -> bytes:
    """A small BMP, which scoring sees bit for bit, and which is made faster than a JPEG."""
    buffer = io.BytesIO()
    colour = np.random.default_rng(seed).integers(0, 256, 3).tolist()
    Image.new("RGB", (SIZE, SIZE), tuple(colour)).save(buffer, "BMP")
    return buffer.getvalue()


# The network


def test_the_network_gives_probabilities() -> None:
    session = onnxruntime.InferenceSession(network(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)
    probabilities = predict(session, pixels)["probabilities"]
    assert probabilities.shape == (5, 7)
    assert probabilities.dtype == np.float64
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert probabilities == pytest.approx(expected(pixels), abs=1e-5)
    alone = predict(session, pixels[2:3])["probabilities"]
    assert alone == pytest.approx(probabilities[2:3], abs=1e-6), "alone or in a batch"


def test_a_network_is_loaded_once_a_process_and_has_one_thread(place: str) -> None:
    model = registered(place)
    load_session.cache_clear()
    session = load_session(model.onnx_url, model.onnx_sha256)
    assert load_session(model.onnx_url, model.onnx_sha256) is session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_a_network_that_was_changed_is_not_run(place: str) -> None:
    model = registered(place)
    changed = bytearray(network())
    changed[-1] ^= 1
    write_bytes(model.onnx_url, bytes(changed))
    load_session.cache_clear()
    with pytest.raises(RequestError, match=f"{model.onnx_url}: SHA-256 .* the file was changed"):
        load_session(model.onnx_url, model.onnx_sha256)


# Cutting


def test_shards_are_small_where_images_are_few_and_never_too_large() -> None:
    assert images_per_shard(1, 2) == FEWEST
    assert images_per_shard(20_000, 2) == 312
    assert images_per_shard(10**6, 2) == MOST
    assert images_per_shard(10**6, 64) == 488
    assert 50_000 / images_per_shard(50_000, 64) >= 64 * 8, "each of 64 workers gets its eight"


def test_shards_are_numbered_as_they_come() -> None:
    shards = [LISTING.empty_table()] * 3
    model = ScoringModel("tiny", "v1", "", "", Preprocessing(SIZE))
    jobs = list(score_jobs(iter(shards), "/w", model, "run", DAY, "replay"))
    assert [(job.number, job.run_id, job.flow) for job in jobs] == [(n, "run", "replay") for n in range(3)]


# One shard


def test_every_row_is_of_the_image_it_names(place: str) -> None:
    """Two batches and a bit, with broken images before, at and after their ends."""
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    batch = BATCH["fp32"]
    broken = {0, 5, batch - 1, batch, batch + 1, 2 * batch + 3, 75}
    objects = {f"i{number:02d}.bmp": b"" if number in broken else plain(number) for number in range(76)}
    for name, data in objects.items():
        write_bytes(f"{archive}/{name}", data)
    listing = listing_of(archive)
    job = ScoreJob(4, shard(listing), workspace, registered(place), "run", DAY)
    done = pickle.loads(pickle.dumps(score_shard(pickle.loads(pickle.dumps(job)))))  # noqa: S301 - as Dask does
    assert (done.scored, done.rejected) == (69, Counter({"empty": 7}))
    assert tables.version(workspace, "scores") is None, "a shard publishes nothing"

    rows = part_rows(workspace, "scores", done.scores)
    good = [name.removesuffix(".bmp") for name, data in objects.items() if data]
    assert [row["image_id"] for row in rows] == good
    pixels = np.stack([decode(objects[f"{image_id}.bmp"], SIZE).pixels for image_id in good])
    probabilities = np.array(
        [[row[column] for column in PROBABILITY_COLUMNS] for row in rows], dtype=np.float64
    )
    assert probabilities == pytest.approx(expected(pixels), abs=1e-5)
    assert len({row["predicted_dx"] for row in rows}) > 1, "the test's network says the same of all"

    rejected = part_rows(workspace, "quarantine", done.quarantine)
    assert list(rejected[0]) == QUARANTINE.names
    assert [row["uri"] for row in rejected] == listing[listing["size_bytes"] == 0]["uri"].tolist()
    assert {(row["flow"], row["run_id"], row["reason"]) for row in rejected} == {("score", "run", "empty")}
    assert {row["sha256"] for row in rejected} == {hashlib.sha256(b"").hexdigest()}


def test_a_row_has_all_that_the_contract_says(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    for number in range(3):
        write_bytes(f"{archive}/deep/i{number}.jpg", jpeg(number))
    listing = listing_of(archive)
    model = registered(place)
    done = score_shard(ScoreJob(0, shard(listing), workspace, model, "run", DAY))
    assert done.scores is not None
    assert re.fullmatch(r"run_date=2026-01-31/part-run-00000-[0-9a-f]{8}\.parquet", done.scores.path)
    tables.publish(workspace, "scores", [done.scores], "run")
    table = tables.read(workspace, "scores")
    assert table.schema == SCORES
    rows = table.sort_by("uri").to_pylist()
    for row, listed in zip(rows, listing.to_dict("records"), strict=True):
        assert row["uri"] == listed["uri"]
        assert row["etag"] == listed["etag"]
        assert row["size_bytes"] == listed["size_bytes"]
        assert row["last_modified"] == listed["last_modified"]
        assert row["sha256"] == hashlib.sha256(read_bytes(f"{archive}/deep/{row['image_id']}.jpg")).hexdigest()
        assert (row["run_id"], row["run_date"]) == ("run", DAY)
        assert (row["model_name"], row["model_version"], row["flags"]) == ("tiny", "v1", "")
        assert (row["precision"], row["width"], row["height"], row["unlike_training"]) == ("fp32", 96, 72, None)
        assert row["sharpness"] > 0
        assert 0 < row["brightness"] < 1
        probabilities = {name: row[f"p_{name}"] for name in DIAGNOSES}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert row["predicted_dx"] == max(probabilities, key=lambda name: probabilities[name])
        assert row["confidence"] == max(probabilities.values())
        assert row["p_malignant"] == pytest.approx(sum(probabilities[name] for name in ("akiec", "bcc", "mel")))
        assert abs((datetime.now(UTC) - row["scored_at"]).total_seconds()) < 60
    assert [row["image_id"] for row in rows] == ["i0", "i1", "i2"]


def test_pixels_are_made_as_the_model_says(tmp_path_factory: pytest.TempPathFactory, jpeg: Jpeg) -> None:
    place = str(tmp_path_factory.mktemp("pixels"))
    data = jpeg(1, 900, 700)
    write_bytes(f"{place}/archive/a.jpg", data)
    for run, preprocessing in (("fast", Preprocessing(24, "fast")), ("exact", Preprocessing(24, "exact"))):
        load_session.cache_clear()
        model = registered(place, network(24), preprocessing)
        done = score_shard(ScoreJob(0, shard(listing_of(f"{place}/archive")), place, model, run, DAY))
        [row] = part_rows(place, "scores", done.scores)
        pixels = decode(data, 24, preprocessing.decode).pixels
        assert [row[column] for column in PROBABILITY_COLUMNS] == pytest.approx(
            expected(pixels[None])[0], abs=1e-6
        )


def test_an_image_that_changed_is_scored_as_what_was_read(place: str, jpeg: Jpeg) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    write_bytes(f"{archive}/a.jpg", jpeg(1))
    listed = listing_of(archive)
    write_bytes(f"{archive}/a.jpg", jpeg(2, 200, 100))
    done = score_shard(ScoreJob(0, shard(listed), workspace, registered(place), "run", DAY))
    [row] = part_rows(workspace, "scores", done.scores)
    [now] = listing_of(archive).to_dict("records")
    assert row["etag"] == now["etag"] != listed["etag"][0]
    assert row["size_bytes"] == now["size_bytes"]
    assert (row["width"], row["height"], done.replaced) == (200, 100, 1)


def test_done_twice_it_leaves_the_same_behind(place: str) -> None:
    archive, workspace = f"{place}/archive", f"{place}/workspace"
    for name, data in {"a.bmp": plain(1), "b.bmp": b"", "c.bmp": plain(2)}.items():
        write_bytes(f"{archive}/{name}", data)
    job = ScoreJob(0, shard(listing_of(archive)), workspace, registered(place), "run", DAY)
    first, second = (part_rows(workspace, "scores", score_shard(job).scores) for _ in range(2))
    assert [{**row, "scored_at": None} for row in first] == [{**row, "scored_at": None} for row in second]
    # Files of their own: a worker that was believed dead must not write over what is published.
    assert len(names(f"{table_url(workspace, 'scores')}/run_date=2026-01-31")) == 2
    assert len(names(table_url(workspace, "quarantine"))) == 2


def test_where_all_is_broken_there_are_no_scores(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = str(tmp_path_factory.mktemp("broken"))
    write_bytes(f"{place}/archive/a.jpg", b"")
    done = score_shard(ScoreJob(0, shard(listing_of(f"{place}/archive")), place, registered(place), "run", DAY))
    assert (done.scored, done.scores, done.rejected.total()) == (0, None, 1)


def test_probabilities_are_named_in_the_one_order() -> None:
    images = pd.DataFrame(
        {"uri": [f"s3://x/{n}.jpg" for n in range(7)], "etag": "e", "size_bytes": 1, "last_modified": None}
    ).assign(scored_at=datetime.now(UTC), width=1, height=1, sha256="00")
    job = ScoreJob(
        0, LISTING.empty_table(), "", ScoringModel("tiny", "v1", "", "", Preprocessing(SIZE)), "run", DAY
    )
    seen = {"probabilities": np.eye(7) * 0.86 + 0.02, "sharpness": np.ones(7), "brightness": np.ones(7)}
    rows = score_rows(images, seen, np.full(7, ""), job).to_pylist()
    assert [row["predicted_dx"] for row in rows] == list(DIAGNOSES)
    assert [row[f"p_{name}"] for row, name in zip(rows, DIAGNOSES, strict=True)] == pytest.approx([0.88] * 7)
    assert [row["p_malignant"] > 0.5 for row in rows] == [True, True, False, False, True, False, False]


def test_a_colour_profile_is_a_flag_and_its_colours_are_converted(place: str) -> None:
    embedded, primaries, inverse = rgb_profile(ADOBE, gamma(563 / 256)), ADOBE, gamma(256 / 563)
    colours = np.full((24, 24, 3), (180, 110, 90), dtype=np.uint8)
    other = Image.fromarray(from_srgb(colours, primaries, inverse))
    write_bytes(f"{place}/archive/a.png", save(Image.fromarray(colours), "PNG"))
    write_bytes(f"{place}/archive/b.png", save(other, "PNG", icc_profile=embedded))
    listing = listing_of(f"{place}/archive")
    scores = {}
    for colour in ("srgb", "as_stored"):
        model = registered(
            place, preprocessing=Preprocessing(SIZE, colour="srgb" if colour == "srgb" else "as_stored")
        )
        job = ScoreJob(0, shard(listing), f"{place}/workspace", model, f"run {colour}", DAY)
        rows = part_rows(f"{place}/workspace", "scores", score_shard(job).scores)
        assert [row["flags"] for row in rows] == ["", "colour_profile"]
        scores[colour] = [float(str(row["p_mel"])) for row in rows]
    assert scores["as_stored"][0] == scores["srgb"][0]
    apart = {colour: abs(plain - marked) for colour, (plain, marked) in scores.items()}
    assert apart["srgb"] < apart["as_stored"] / 5, "it is another lesion to the network"
