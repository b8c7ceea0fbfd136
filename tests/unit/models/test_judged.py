"""What a version was measured at, read from its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skinml.errors import RequestError
from skinml.models import registry
from skinml.models.catalogue import list_versions
from skinml.models.champion import read_champion_if_any
from skinml.models.decide import promote
from skinml.models.floors import Floors
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


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested more than 64 levels"),
        (b"[]", "it: "),
        (b'{"metrics": [1]}', "metrics: "),
        (b'{"honest": []}', "honest: "),
        (b'{"metrics": {"balanced_accuracy": NaN}}', "NaN is not a finite number"),
        (b'{"metrics": {"accuracy": 1e999}}', "1e999 is not a finite number"),
        (b'{"metrics": {"macro_auc": 1e300}}', r"metrics\.macro_auc: 1e\+300 is not within 0 to 1"),
        (b'{"metrics": {"melanoma_sensitivity": -5}}', r"melanoma_sensitivity: -5 is not within 0 to 1"),
        (b'{"metrics": {"balanced_accuracy": "<b>"}}', r"metrics\.balanced_accuracy: Input should be a valid"),
        (b'{"metrics": {"balanced_accuracy": true}}', r"metrics\.balanced_accuracy: Input should be a valid"),
        (b'{"metrics": {"per_class": []}}', r"metrics\.per_class: "),
        (b'{"metrics": {"per_class": {"mel": 5}}}', r"metrics\.per_class\.mel: "),
        (b'{"intervals": []}', "intervals: "),
        (b'{"intervals": {"balanced_accuracy": [0.5]}}', r"intervals\.balanced_accuracy\.1: "),
        (b'{"intervals": {"balanced_accuracy": [0.9, 0.1]}}', "lower end 0.9 is above its upper end 0.1"),
        (b'{"intervals": {"balanced_accuracy": [7, 9]}}', "7 is not within 0 to 1"),
        (b'{"notes": 5}', "notes: "),
    ],
)
def test_metrics_that_are_none_are_refused_in_a_line(data: bytes, said: str, tmp_path: Path) -> None:
    """Also by lists and decisions; before, a NaN got into champion.json, which could not be read any more."""
    place = str(tmp_path / "workspace")
    found = changed(place, tmp_path, "v2", metrics_json=data)
    with pytest.raises(RequestError, match=rf"^model v2: metrics\.json does not say.*{said}") as refusal:
        read_judged(place, found)
    assert "\n" not in str(refusal.value)
    assert list_versions(place)[-1]["problem"] == str(refusal.value)
    with pytest.raises(RequestError, match="does not say"):
        promote(place, found, Floors(), None, None, force=True)
    assert read_champion_if_any(place) is None


def test_a_version_without_an_honest_refit_may_say_so(tmp_path: Path) -> None:
    place = str(tmp_path / "workspace")
    found = changed(place, tmp_path, "v2", metrics_json=b'{"honest": null, "metrics": null, "intervals": null}')
    judged = read_judged(place, found)
    assert (judged.basis, judged.metrics) == ("test images", {})
    assert "balanced_accuracy" in judged.intervals, "measured again"
    assert list_versions(place)[-1]["balanced_accuracy"] is None
