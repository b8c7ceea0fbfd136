"""Tests of skinml/exploration/choose.py: which images are shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from skinml import tables
from skinml.exploration import choose
from skinml.exploration.choose import choose_examples, find_pairs, find_suspicious
from skinml.labels import DIAGNOSES
from skinml.schemas import RUNS
from tests.unit.exploration.made import NOW, make_workspace, samples_of


def test_examples_are_of_different_lesions_and_the_same_for_a_seed(tmp_path: Path) -> None:
    rows = pd.DataFrame(samples_of(tmp_path, 84))
    rows["lesion_id"] = [f"HAM_{number % 42}" for number in range(84)]  # two images each, of one diagnosis
    rows = rows[~((rows["dx"] == "df") & (rows.index > 20))]
    chosen = choose_examples(rows, 42)
    assert chosen["dx"].value_counts().reindex(DIAGNOSES).tolist() == [5, 5, 5, 3, 5, 5, 5]
    assert not chosen[chosen["dx"] != "df"]["lesion_id"].duplicated().any()
    pd.testing.assert_frame_equal(choose_examples(rows.sample(frac=1, random_state=1), 42), chosen)
    assert choose_examples(rows, 43)["image_id"].tolist() != chosen["image_id"].tolist()


def test_pairs_of_two_diagnoses_and_two_lesions_come_first(tmp_path: Path) -> None:
    made = samples_of(tmp_path, 30)
    made[21] |= {name: made[20][name] for name in ("sha256", "phash", "lesion_id", "dx")}
    made[11] |= {"phash": made[10]["phash"], "dx": made[10]["dx"], "lesion_id": "HAM_other"}
    made[5] |= {"phash": made[4]["phash"], "dx": "nv"}
    rows = pd.DataFrame(made)
    found = find_pairs(rows)
    assert found.shown[["first", "second"]].to_numpy().tolist() == [[4, 5], [10, 11], [20, 21]]
    assert found.shown["kind"].tolist() == ["near", "near", "identical"]
    assert (found.identical, found.near, found.across_lesions, found.across_diagnoses) == (1, 2, 1, 1)


def test_of_very_many_images_some_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = samples_of(tmp_path, 30)
    made[29]["phash"] = made[0]["phash"]
    rows = pd.DataFrame(made)
    monkeypatch.setattr(choose, "MOST_COMPARED", 10)
    found = find_pairs(rows)
    assert found.compared == 10
    assert found.shown[["first", "second"]].to_numpy().tolist() == [[0, 29]], "positions of the whole table"


def ranked(workspace: str, number: int, text: str) -> None:
    """A run of `mislabelled` with this ranking."""
    run = {"run_id": f"mislabelled-{number}", "flow": "mislabelled", "status": "completed"}
    row = {**run, "started_at": NOW + timedelta(hours=number)}
    tables.append(workspace, "runs", pa.Table.from_pylist([row], RUNS), f"mislabelled-{number}")
    report = Path(workspace, "reports", f"mislabelled-{number}")
    report.mkdir(parents=True)
    (report / "mislabelled.csv").write_text(text, encoding="utf-8")


HEAD = "lesion_id,dx,suggested_dx,margin,p_given,p_suggested,images,image_ids,dx_type,issue\n"


def test_the_newest_ranking_is_shown_without_what_was_corrected_since(tmp_path: Path) -> None:
    rows = samples_of(tmp_path / "images", 14)
    workspace, samples = make_workspace(tmp_path / "workspace", rows), pd.DataFrame(rows)
    assert "Run skinml mislabelled" in find_suspicious(workspace, samples).why_none
    ranked(workspace, 1, HEAD + "HAM_0000000,akiec,mel,-0.9,0.01,0.9,2,ISIC_0000000 ISIC_0000001,histo,True\n")
    ranked(
        workspace,
        2,
        HEAD
        + "HAM_0000001,nv,mel,-0.9,0.01,0.91,2,ISIC_0000002 ISIC_0000003,histo,True\n"  # its label is bkl now
        + "HAM_0000002,mel,nv,-0.5,0.2,0.7,2,ISIC_0000004 ISIC_0000005,histo,True\n"
        + "HAM_gone,mel,nv,-0.4,0.2,0.6,1,ISIC_9,histo,True\n",
    )
    found = find_suspicious(workspace, samples)
    assert (found.run_id, found.corrected, found.why_none) == ("mislabelled-2", 2, "")
    [row] = found.rows.to_dict("records")
    assert (row["lesion_id"], row["suggested_dx"], row["p_suggested"]) == ("HAM_0000002", "nv", 0.7)
    assert samples.iloc[row["position"]]["image_id"] == "ISIC_0000004"


def test_a_ranking_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    rows = samples_of(tmp_path / "images", 3)
    workspace = make_workspace(tmp_path / "workspace", rows)
    ranked(workspace, 1, "nothing\n1\n")
    found = find_suspicious(workspace, pd.DataFrame(rows))
    assert found.why_none == "Its file cannot be read. Run skinml mislabelled again."
    assert found.rows.empty
