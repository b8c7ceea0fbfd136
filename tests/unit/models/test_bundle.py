"""Tests of skinml/models/bundle.py: one folder with everything, made of what jobs left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skinml.errors import RunError, StorageError
from skinml.models import bundle
from skinml.models.bundle import (
    CARD,
    FIGURES,
    HONEST_FIGURES,
    HONEST_PREDICTIONS,
    KERAS,
    METRICS,
    NETWORKS,
    PREDICTIONS,
    REFERENCE,
    Fit,
    Made,
    build_bundle,
    describe,
    leave,
    read_made,
    write_card,
)
from skinml.report.gallery import Miss
from skinml.storage.objects import read_bytes, upload, write_bytes
from tests.unit.report.made_up import fields, measured

FINISHED = {"precisions": {"int8": {"failure": "no"}}, "foreign": {"noise": {"flagged": 1.0}}}
PREDICTIONS_OF = {title: pa.table({"image_id": [title]}) for title in ("t", "h", "")}
PICTURES = {"loss.png", "accuracy.png", "confusion_matrix.png", "misclassified.png"}
JUDGED = {f"{name}.png" for name in ("roc", "precision_recall", "reliability", "subgroups", "worst_misses")}


def _fit(title: str) -> Fit:
    labels = np.arange(14) % 7
    return Fit(
        title=title,
        labels=labels,
        probabilities=np.eye(7)[labels] * 0.93 + 0.01,
        predictions=PREDICTIONS_OF[title],
        misses=[Miss(np.zeros((8, 8, 3), np.uint8), "ISIC_1", "mel taken for nv, 93%", True)],
        judged={"metrics": {"accuracy": 1.0}, "notes": ["few"], "subgroups": {"skin_tone": "not assessed"}},
        leakage={"image": 0.0, "lesion": 0.25},
        history={name: [0.5, 0.25] for name in ("loss", "accuracy", "val_loss", "val_accuracy")},
        best_epoch=2,
        seconds=12.5,
    )


def _made(place: str, tmp_path: Path) -> tuple[Made, Made]:
    """What a fit and a finish left; of the fit's, the bundle takes one file."""
    folders = {"fit": {KERAS: b"keras", NETWORKS["fp32"]: b"raw"}, "finish": {NETWORKS["fp32"]: b"onnx"}}
    folders["finish"] |= {NETWORKS["int8"]: b"int8", REFERENCE: b"{}"}
    left = {}
    for folder, files in folders.items():
        (tmp_path / folder).mkdir()
        for name, data in files.items():
            (tmp_path / folder / name).write_bytes(data)
        left[folder] = leave(tmp_path / folder, f"{place}/{folder}")
    return (Made(f"{place}/fit", {KERAS: left["fit"][KERAS]}), Made(f"{place}/finish", left["finish"]))


# Drawing 18 pictures twice takes 10 s; that files come from a bucket alike is also shown by the next tests.
@pytest.mark.parametrize("place", ["folder", pytest.param("bucket", marks=pytest.mark.drill)], indirect=True)
def test_a_bundle_has_what_jobs_left_the_metrics_and_the_figures(place: str, tmp_path: Path) -> None:
    folder, made = tmp_path / "bundle", _made(place, tmp_path)
    for _ in range(2):  # a stage that is tried again
        build_bundle(folder, "thesis", made, _fit("t"), _fit("h"), FINISHED)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pictures = {f"{where}/{name}" for where in (FIGURES, HONEST_FIGURES) for name in PICTURES | JUDGED}
    assert files == {KERAS, *NETWORKS.values(), REFERENCE, METRICS, PREDICTIONS, HONEST_PREDICTIONS} | pictures
    assert pq.read_table(folder / PREDICTIONS) == PREDICTIONS_OF["t"]
    assert pq.read_table(folder / HONEST_PREDICTIONS) == PREDICTIONS_OF["h"]
    assert (folder / NETWORKS["fp32"]).read_bytes() == b"onnx", "of the finish, not the fit's"
    metrics = json.loads((folder / METRICS).read_text())
    kept = {
        "metrics": {"accuracy": 1.0},
        "notes": ["few"],
        "subgroups": {"skin_tone": "not assessed"},
        "leakage": {"image": 0.0, "lesion": 0.25},
        "history": _fit("").history,
        "best_epoch": 2,
        "fit_seconds": 12.5,
    }
    assert metrics == {"protocol": "thesis", **kept, **FINISHED, "honest": kept}


def test_what_is_not_what_its_job_wrote_is_refused(place: str, tmp_path: Path) -> None:
    made = _made(place, tmp_path)
    write_bytes(f"{made[1].url}/{NETWORKS['int8']}", b"8tni")
    with pytest.raises(RunError, match=r"model-int8.onnx: has 4 bytes that are not the 4 that its job wrote"):
        build_bundle(tmp_path / "bundle", "grouped", made, _fit("t"), None, FINISHED)
    with pytest.raises(StorageError, match="not found"):
        read_made(f"{place}/fit/other", describe(b""))


def test_a_failed_picture_does_not_cost_the_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(_fit("t"), history={})
    build_bundle(tmp_path / "bundle", "grouped", (), broken, None, FINISHED)
    assert (tmp_path / "bundle" / METRICS).exists()
    assert "the version will lack figures: drawing figures failed" in caplog.text


def test_a_card_is_made_of_what_the_bundle_has(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "confusion_matrix.png").write_bytes(b"")
    (tmp_path / METRICS).write_text(json.dumps(measured(honest=False)))
    write_card(tmp_path, fields(told={"data_licence": "CC BY-NC 4.0"}))
    for name in CARD:
        text = (tmp_path / name).read_text()
        assert "CC BY-NC 4.0" in text
        assert "figures/confusion_matrix.png" in text


def test_a_failed_card_does_not_cost_the_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / METRICS).write_text("{}")
    write_card(tmp_path, fields())
    assert not (tmp_path / CARD[0]).exists()
    assert "the version will lack a model card" in caplog.text


def test_what_is_left_at_a_url_is_described_by_hash_and_size(place: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "folder").mkdir()
    files = leave(tmp_path, f"{place}/results")
    assert files == {"a": describe(b"abc")}
    assert files["a"].size_bytes == 3
    assert read_bytes(f"{place}/results/a") == read_made(f"{place}/results/a", files["a"]) == b"abc"
    assert describe(b"").sha256.startswith("e3b0c442")


def test_storage_that_is_away_for_a_moment_does_not_cost_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a").write_bytes(b"abc")
    tries = []

    def away(source: Path, url: str) -> None:
        tries.append(url)
        if len(tries) < 3:
            raise StorageError(f"{url}: connection refused")
        upload(source, url)

    monkeypatch.setattr(bundle, "upload", away)
    monkeypatch.setattr(bundle, "RETRY_DELAYS", (0.0, 0.0))
    files = leave(tmp_path / "results", f"{tmp_path}/left")
    assert read_made(f"{tmp_path}/left/a", files["a"]) == b"abc"
    assert caplog.text.count("connection refused; tried again in 0 s") == 2
    tries.clear()
    monkeypatch.setattr(bundle, "RETRY_DELAYS", (0.0,))
    with pytest.raises(StorageError, match="connection refused"):
        leave(tmp_path / "results", f"{tmp_path}/again")
