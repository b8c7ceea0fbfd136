"""Tests of skinml/explanation/nearest.py: planted copies are found, each lesion once."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skinml.errors import RunError
from skinml.explanation.nearest import COPY, nearest_lesions, parse_features
from skinml.schemas import TRAINING_FEATURES

COUNT, CHANNELS = 300, 16
DRAWN = np.random.default_rng(0).gamma(2, 3, (COUNT, CHANNELS))
FEATURES = (DRAWN * np.linspace(1, 400, CHANNELS)).astype(np.float16)


def rows(lesions: list[str | None] | None = None) -> pa.Table:
    """Two images a lesion, unless `lesions` says otherwise."""
    return pa.table(
        {
            "image_id": [f"image {number}" for number in range(COUNT)],
            "lesion_id": lesions or [f"lesion {number // 2}" for number in range(COUNT)],
            "dx": ["nv"] * COUNT,
            "shard": np.zeros(COUNT, np.int32),
            "row": np.arange(COUNT, dtype=np.int32),
            "features": pa.array(list(FEATURES), pa.list_(pa.float16())),
        },
        TRAINING_FEATURES,
    )


def written(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_a_planted_copy_is_nearest_and_each_lesion_comes_once() -> None:
    table, features = parse_features(written(rows()), "v1")
    query = FEATURES[120].astype(np.float64) * (1 + 1e-4)  # rounding of another machine
    found = nearest_lesions(table, features, query)
    first, *others = found.lesions
    assert (first.image_id, first.lesion_id, first.row) == ("image 120", "lesion 60", 120)
    assert first.distance < COPY < others[0].distance
    assert len({one.lesion_id for one in found.lesions}) == len(found.lesions) == 6
    distances = [one.distance for one in found.lesions]
    assert distances == sorted(distances)
    assert found.images == COUNT
    assert found.closer_than == 1.0
    assert found.usual is not None
    assert COPY < found.usual < 2


def test_an_image_like_none_is_further_away_than_usual() -> None:
    table, features = parse_features(written(rows()), "v1")
    far = features.mean(axis=0) - 5 * features.std(axis=0) * np.where(np.arange(CHANNELS) % 2, 1, -1)
    found = nearest_lesions(table, features, far.astype(np.float64))
    assert found.closer_than < 0.5
    assert found.lesions[0].distance > COPY


def test_no_channel_counts_more_because_its_values_are_larger() -> None:
    """Without standardising, the last channel, 400 times as large, would decide alone."""
    table, features = parse_features(written(rows()), "v1")
    query = FEATURES[40].astype(np.float64)
    query[-1] = FEATURES[41, -1]
    assert nearest_lesions(table, features, query).lesions[0].image_id == "image 40"


def test_few_lesions_constant_channels_and_unknown_lesions_are_no_trouble() -> None:
    table, features = parse_features(written(rows([None, *["a"] * (COUNT - 1)])), "v1")
    features[:, 3] = 7.0
    found = nearest_lesions(table, features, features[0].astype(np.float64))
    assert [one.lesion_id for one in found.lesions] in (["", "a"], [None, "a"])
    assert found.usual is not None
    assert np.isfinite([found.usual, found.closer_than, *(one.distance for one in found.lesions)]).all()


def test_one_lesion_alone_has_no_usual_distance() -> None:
    table, features = parse_features(written(rows(["a"] * COUNT)), "v1")
    found = nearest_lesions(table, features, features[0].astype(np.float64))
    assert len(found.lesions) == 1
    assert found.usual is None


def test_features_of_another_network_are_refused() -> None:
    table, features = parse_features(written(rows()), "v1")
    with pytest.raises(RunError, match=r"the training images have 16 features, this image \(12,\)"):
        nearest_lesions(table, features, np.zeros(12))


@pytest.mark.parametrize(
    "data", [b"", b"PAR1 rubbish", written(rows().drop_columns("features")), written(rows()[:0])]
)
def test_what_are_no_features_is_refused(data: bytes) -> None:
    with pytest.raises(RunError, match="model v1: its features of training images"):
        parse_features(data, "v1")


def test_features_of_uneven_length_or_not_finite_are_refused() -> None:
    for values in ([[1.0, 2.0], [1.0]], [[1.0, 2.0], [np.nan, 1.0]]):
        column = pa.array([np.array(one, np.float16) for one in values], pa.list_(pa.float16()))
        table = rows()[:2].set_column(5, "features", column)
        with pytest.raises(RunError, match="model v1: its features of training images"):
            parse_features(written(table), "v1")
