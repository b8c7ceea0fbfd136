"""What a version was measured at, read from its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skinml.errors import RequestError
from skinml.models import registry
from skinml.models.judged import read_judged, read_own_predictions
from skinml.models.manifest import Manifest
from tests.unit.models.bundles import make_version, predictions


def changed(place: str, folder: Path, version: str, **files: bytes | None) -> Manifest:
    """A version like another, with other files."""
    made = make_version(place, folder, "v1")
    bundle = folder / "changed"
    contents = {name: registry.read_verified(place, made, name) for name in made.files} | {
        name.replace("__", "-").replace("_", "."): data for name, data in files.items()
    }
    for name, data in contents.items():
        if data is not None:
            bundle.mkdir(exist_ok=True)
            (bundle / name).write_bytes(data)
    fields = made.model_dump(exclude={"class_order", "created_at", "files"}) | {"version": version}
    return registry.register(place, bundle, fields)


def test_metrics_intervals_and_the_test_set_are_of_the_bundle(place: str, tmp_path: Path) -> None:
    first = read_judged(place, make_version(place, tmp_path, "v1", 0.9))
    second = read_judged(place, make_version(place, tmp_path, "v2", 0.5))
    low, high = first.interval("balanced_accuracy") or (0.0, 0.0)
    assert low < first.metrics["balanced_accuracy"] < high
    assert first.classes() == 7
    assert first.test_set == second.test_set, "the same images"
    assert first.interval("of something else") is None


def test_a_version_from_before_intervals_is_measured_again(place: str, tmp_path: Path) -> None:
    made = make_version(place, tmp_path, "v0", 0.7)
    measured = json.loads(registry.read_verified(place, made, "metrics.json"))
    found = changed(place, tmp_path, "v2", metrics_json=json.dumps({"metrics": measured["metrics"]}).encode())
    assert read_judged(place, found).interval("balanced_accuracy") is not None


def test_the_thesis_protocol_is_judged_by_its_honest_refit(place: str, tmp_path: Path) -> None:
    made = make_version(place, tmp_path, "v0", 0.5)
    measured = json.loads(registry.read_verified(place, made, "metrics.json"))
    pq.write_table(predictions(0.5), tmp_path / "honest.parquet")
    found = changed(
        place,
        tmp_path,
        "v2",
        metrics_json=json.dumps({"metrics": {"balanced_accuracy": 0.99}, "honest": measured}).encode(),
        honest__predictions_parquet=(tmp_path / "honest.parquet").read_bytes(),
    )
    judged = read_judged(place, found)
    assert judged.basis == "test images of the honest refit"
    assert judged.metrics["balanced_accuracy"] == measured["metrics"]["balanced_accuracy"] < 0.7


@pytest.mark.parametrize(
    ("data", "said"), [(b"no Parquet", "is no Parquet file"), (None, "keeps no predictions.parquet")]
)
def test_predictions_that_are_none_are_refused_in_a_line(
    data: bytes | None, said: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=said) as refusal:
        read_own_predictions(place, changed(place, tmp_path, "v2", predictions_parquet=data))
    assert "\n" not in str(refusal.value)


def test_metrics_that_are_no_json_are_refused_in_a_line(place: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"metrics\.json is not JSON"):
        read_judged(place, changed(place, tmp_path, "v2", metrics_json=b"{"))
