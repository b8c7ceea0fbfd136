"""A workspace of plain-coloured lesions, prepared without Dask, and networks that confuse some colours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skinml import tables
from skinml.dataset.shards import encode_shard, read_index, shard_name
from skinml.dataset.splits import split_of
from skinml.evaluation.intervals import measure_with_intervals
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES, encode
from skinml.layout import index_url, shards_url
from skinml.models.manifest import Manifest
from skinml.models.registry import register
from skinml.schemas import INDEX, PREDICTIONS, PROBABILITY_COLUMNS, SAMPLES
from skinml.storage.objects import write_bytes
from skinml.storage.parquet import as_parquet

SIZE = 32
PIXELS = Preprocessing(SIZE, "fast", colour="srgb")
KEY = PIXELS.dataset_key("npy")
COLOURS = np.array(
    [[230, 40, 40], [40, 230, 40], [40, 40, 230], [230, 230, 40], [40, 230, 230], [230, 40, 230], [30, 30, 30]]
)
"""Of each diagnosis, in the order of DIAGNOSES."""

CONFUSED = (4, 5)
"""Diagnoses that a poor network takes for each other: mel and nv."""


def network(swapped: Sequence[int] = ()) -> bytes:
    """The nearest colour is the diagnosis; those that are swapped are taken for the next one among them."""
    order = np.arange(7)
    order[list(swapped)] = np.roll(list(swapped), 1)
    centres = COLOURS[order] / 255
    constants = {
        "axes": np.array([1, 2], np.int64),
        "weights": (centres.T * 40 / 255).astype(np.float32),
        "bias": (-(centres**2).sum(axis=1) * 20).astype(np.float32),
    }
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            onnx.helper.make_node("MatMul", ["mean", "weights"], ["product"]),
            onnx.helper.make_node("Add", ["product", "bias"], ["logits"]),
            onnx.helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "nearest colour",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, ["batch", SIZE, SIZE, 3])],
        [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["batch", 7])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def pixels_of(labels: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """An image of each label: its colour with a little noise."""
    noise = np.random.default_rng(seed).normal(0, 6, (len(labels), SIZE, SIZE, 3))
    return (COLOURS[labels][:, None, None] + noise).clip(0, 255).astype(np.uint8)


def lesions_of(first: int, count: int, splits: Iterable[str] = ("train", "val", "test")) -> list[str]:
    """Names of lesions whose split is among these, from a number on."""
    found: list[str] = []
    wanted = {*splits}
    while len(found) < count:
        name = f"L{first:06d}"
        found += [name] if split_of(name) in wanted else []
        first += 1
    return found


def add_lesions(
    workspace: str, lesions: Sequence[str], run_id: str, groups: Sequence[str] | None = None
) -> int:
    """Add an image of each lesion to `samples` and to the pixels, as a preparation; the version of `samples`.

    The diagnoses go round, and with each round the sex changes: the gate judges groups of 30 lesions.
    `groups` are lesions that they share an image with; None if they share none.
    """
    named = groups or lesions
    labels = np.arange(len(lesions)) % 7
    moment = datetime.now(UTC)
    rows = [
        {
            "image_id": f"I{lesion}",
            "lesion_id": lesion,
            "dx": DIAGNOSES[label],
            "sex": ("female", "male")[number // 7 % 2],
            "uri": f"file:///nowhere/{lesion}.png",
            "etag": f"e-{lesion}",
            "size_bytes": 100,
            "width": 600,
            "height": 450,
            "split": split_of(group),
            "split_group": group,
            "sha256": hashlib.sha256(lesion.encode()).hexdigest(),
            "phash": hashlib.sha256(f"p{lesion}".encode()).hexdigest(),
            "metadata_row": number,
            "run_id": run_id,
            "prepared_at": moment,
        }
        for number, (lesion, group, label) in enumerate(zip(lesions, named, labels.tolist(), strict=True))
    ]
    before = read_index(workspace, KEY)
    shard = int(max(before["shard"].to_pylist(), default=-1)) + 1
    place = [{**row, "shard": shard, "row": number} for number, row in enumerate(rows)]
    index = pa.concat_tables([before.select(INDEX.names).cast(INDEX), pa.Table.from_pylist(place, INDEX)])
    data = encode_shard(pixels_of(labels, shard), "npy")
    write_bytes(f"{shards_url(workspace, KEY)}/{shard_name(shard, 'npy')}", data)
    write_bytes(index_url(workspace, KEY), as_parquet(index))
    version = tables.append(workspace, "samples", pa.Table.from_pylist(rows, SAMPLES), run_id)
    assert version is not None
    return version


def make_model(
    workspace: str, folder: Path, version: str, swapped: Sequence[int] = (), **more: Any
) -> Manifest:
    """Register a version that was trained on today's samples."""
    bundle = folder / "bundles" / version
    bundle.mkdir(parents=True)
    (bundle / "model.onnx").write_bytes(network(swapped))
    samples: pd.DataFrame = tables.read(workspace, "samples").to_pandas()
    test = samples[samples["split"] == "test"].reset_index(drop=True)
    labels = encode(test["dx"])
    order = np.arange(7)
    order[list(swapped)] = np.roll(list(swapped), -1)
    probabilities = np.full((len(test), 7), 0.01)
    probabilities[np.arange(len(test)), order[labels]] = 0.94
    metrics, intervals = measure_with_intervals(labels, test["lesion_id"].to_list(), probabilities)
    measured = {"protocol": "grouped", "metrics": metrics, "intervals": intervals}
    (bundle / "metrics.json").write_text(json.dumps(measured), encoding="utf-8")
    rows = test[["image_id", "lesion_id", "dx", "age", "sex", "localization", "source"]].assign(
        split="test",
        draws=1,
        image_trained_on=False,
        lesion_trained_on=False,
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T, strict=True)),
    )
    pq.write_table(
        pa.Table.from_pandas(rows, PREDICTIONS, preserve_index=False), bundle / "predictions.parquet"
    )
    fields = {
        "name": "thesis-cnn",
        "version": version,
        "run_id": "train-20260101T000000Z-abcdef",
        "protocol": "grouped",
        "preprocessing": PIXELS.to_json(),
        "dataset": {"version": tables.version(workspace, "samples")},
        "parameters": {"epochs": 3, "batch_size": 16, "seed": 7},
        "libraries": {},
    }
    return register(workspace, bundle, fields | more)
