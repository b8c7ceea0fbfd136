"""Two versions on the same lesions, and on sets that both were evaluated on."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skinml import tables
from skinml.errors import RequestError
from skinml.external_validation.compare_versions import compare_versions
from skinml.layout import report_url
from skinml.models.manifest import Manifest
from skinml.records.evaluations import Evaluation, evaluation_row, evaluations_of
from skinml.schemas import EVALUATED
from skinml.storage.objects import write_bytes
from tests.unit.models.bundles import LESIONS, make_version, predictions


def evaluated(place: str, manifest: Manifest, right: float, key: str, run_id: str) -> None:
    """Leave what `evaluate` leaves of a version."""
    table = predictions(right, seed=5)
    more = {
        name: pa.array([f"{name}-{row}" for row in range(table.num_rows)]) for name in ("uri", "etag", "sha256")
    }
    for name, values in more.items():
        table = table.append_column(name, values)
    sink = pa.BufferOutputStream()
    pq.write_table(table.select(EVALUATED.names).cast(EVALUATED), sink)
    data = sink.getvalue().to_pybytes()
    write_bytes(report_url(place, run_id, "predictions.parquet"), data)
    evaluation = Evaluation(
        datetime.now(UTC), run_id, manifest.name, manifest.version, key, "s3://clinic/2026",
        table.num_rows, 7 * LESIONS, {}, {}, hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    tables.append(place, "evaluations", evaluation_row(evaluation), run_id)


def test_the_better_one_is_better_on_the_same_lesions(place: str, tmp_path: Path) -> None:
    first, second = make_version(place, tmp_path, "v1", 0.5), make_version(place, tmp_path, "v2", 0.95)
    found = compare_versions(place, first, second)
    assert (found["basis"], found["lesions"]) == ("test images of both", 7 * LESIONS)
    figure = found["metrics"]["balanced_accuracy"]
    assert figure["difference"] == pytest.approx(figure["second"] - figure["first"])
    assert figure["interval"][0] > 0
    assert found["evaluations"] == []
    back = compare_versions(place, second, first)["metrics"]["balanced_accuracy"]
    assert back["difference"] == pytest.approx(-figure["difference"])


def test_sets_that_both_were_evaluated_on_are_compared_too(place: str, tmp_path: Path) -> None:
    first, second = make_version(place, tmp_path, "v1", 0.5), make_version(place, tmp_path, "v2", 0.95)
    evaluated(place, first, 0.9, "same", "evaluate-1")
    assert compare_versions(place, first, second)["evaluations"] == []
    evaluated(place, second, 0.4, "another", "evaluate-2")
    assert compare_versions(place, first, second)["evaluations"] == []
    evaluated(place, second, 0.95, "same", "evaluate-3")
    evaluated(place, second, 0.2, "same", "evaluate-4")  # the latest counts
    rows = {row["metric"]: row for row in compare_versions(place, first, second)["evaluations"]}
    assert rows["balanced_accuracy"]["set"] == "s3://clinic/2026"
    assert rows["balanced_accuracy"]["difference"] < -0.5
    shown = evaluations_of(place, second.name, second.version)
    assert [row["run_id"] for row in shown] == ["evaluate-4", "evaluate-3", "evaluate-2"]
    assert (shown[0]["images_url"], shown[0]["lesions"]) == ("s3://clinic/2026", 7 * LESIONS)


def test_what_cannot_be_compared_is_refused_in_a_line(place: str, tmp_path: Path) -> None:
    first, second = make_version(place, tmp_path, "v1"), make_version(place, tmp_path, "v2")
    with pytest.raises(RequestError, match="models compare: both are v1; name two versions"):
        compare_versions(place, first, first)
    other = second.model_copy(update={"class_order": ("benign", "malignant")})
    with pytest.raises(
        RequestError, match=r"v1 and v2 have different classes: akiec, .* and benign, malignant"
    ):
        compare_versions(place, first, other)
    without = {name: file for name, file in second.files.items() if name != "predictions.parquet"}
    old = second.model_copy(update={"files": without})
    with pytest.raises(RequestError, match=r"model v2 keeps no predictions\.parquet"):
        compare_versions(place, first, old)
    evaluated(place, first, 0.9, "same", "evaluate-1")
    evaluated(place, second, 0.8, "same", "evaluate-2")
    assert compare_versions(place, first, old)["basis"] == "evaluations of s3://clinic/2026"
