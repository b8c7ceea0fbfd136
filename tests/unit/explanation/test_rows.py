"""Tests of skinml/explanation/rows.py: which row is explained, and what is said if there is none."""

from __future__ import annotations

import json
from datetime import timedelta

import pyarrow as pa
import pytest

from skinml import tables
from skinml.errors import RequestError
from skinml.explanation import rows as module
from skinml.explanation.rows import find_scored_image
from skinml.layout import champion_url
from skinml.schemas import QUARANTINE, RUNS, SAMPLES
from skinml.storage.objects import write_bytes
from tests.unit.explanation.made import NIGHT, publish_scores, score_row


def crown(workspace: str, version: str) -> None:
    champion = {"model_name": "thesis-cnn", "model_version": version}
    write_bytes(champion_url(workspace), json.dumps(champion).encode())


def remember_run(workspace: str, run_id: str) -> None:
    row = {"run_id": run_id, "flow": "score", "status": "completed", "started_at": NIGHT, "done": 1}
    tables.append(workspace, "runs", pa.Table.from_pylist([row], RUNS), run_id)


def test_the_newest_row_of_the_champion_is_taken_and_the_others_are_named(place: str) -> None:
    publish_scores(
        place,
        score_row(),
        score_row(hours=24, etag="3-4", run_id="score-2"),
        score_row(hours=48, model_version="v2", run_id="score-3"),
        score_row("another"),
    )
    crown(place, "v1")
    found = find_scored_image(place, "ISIC_0000001")
    assert (found.row["run_id"], found.row["model_version"]) == ("score-2", "v1")
    assert found.why == "the newest row of the champion"
    assert [other["run_id"] for other in found.others] == ["score-3", "score-1"]


def test_a_champion_that_has_not_scored_it_leaves_the_newest_row(place: str) -> None:
    """After a promotion the archive is not scored again."""
    publish_scores(place, score_row(), score_row(hours=1, model_version="v2"))
    for champion, why in ((None, "no champion"), ("v9", "the champion v9 has not scored this image")):
        if champion is not None:
            crown(place, champion)
        found = find_scored_image(place, "ISIC_0000001")
        assert found.row["model_version"] == "v2"
        assert why in found.why
    with pytest.raises(RequestError, match=r"--model champion: v9 has not scored ISIC_0000001; v2, v1 has"):
        find_scored_image(place, "ISIC_0000001", model="champion")


def test_model_and_run_choose_a_row(tmp_path: object) -> None:
    workspace = str(tmp_path)
    publish_scores(workspace, score_row(), score_row(hours=1, model_version="v2", run_id="score-2"))
    remember_run(workspace, "score-1")
    remember_run(workspace, "score-3")
    crown(workspace, "v2")
    assert find_scored_image(workspace, "ISIC_0000001", model="v1").row["model_version"] == "v1"
    assert find_scored_image(workspace, "ISIC_0000001", run_id="score-1").row["model_version"] == "v1"
    with pytest.raises(RequestError, match="--model v3: it has not scored ISIC_0000001; v2, v1 has"):
        find_scored_image(workspace, "ISIC_0000001", model="v3")
    with pytest.raises(RequestError, match="run score-3 has not scored it; it was scored by score-2, score-1"):
        find_scored_image(workspace, "ISIC_0000001", run_id="score-3")
    with pytest.raises(RequestError, match="--run score-4: no run of score or replay"):
        find_scored_image(workspace, "ISIC_0000001", run_id="score-4")


def test_a_uri_chooses_among_images_of_one_name(tmp_path: object) -> None:
    workspace = str(tmp_path)
    uris = [f"s3://clinic/{folder}/ISIC_0000001.jpg" for folder in "ab"]
    publish_scores(workspace, *(score_row(uri=uri) for uri in uris))
    for uri in uris:
        chosen = find_scored_image(workspace, uri)
        assert chosen.row["uri"] == uri
        assert {other["uri"] for other in chosen.others} == {*uris} - {uri}
    with pytest.raises(RequestError, match=r"s3://clinic/c/ISIC_0000001.jpg: no row of scores has this"):
        find_scored_image(workspace, "s3://clinic/c/ISIC_0000001.jpg")
    found = find_scored_image(workspace, "ISIC_0000001")
    assert {found.row["uri"], found.others[0]["uri"]} == {*uris}


def test_an_unknown_image_has_near_misses(tmp_path: object) -> None:
    workspace = str(tmp_path)
    with pytest.raises(RequestError, match="ISIC_7: no image has been scored in this workspace yet"):
        find_scored_image(workspace, "ISIC_7")
    publish_scores(workspace, *(score_row(f"ISIC_002430{number}") for number in range(5)))
    with pytest.raises(RequestError, match=r"\(5 do\); did you mean ISIC_0024303\?$"):
        find_scored_image(workspace, "isic_0024303")
    with pytest.raises(RequestError, match=r"did you mean ISIC_002430\d, ISIC_002430\d, ISIC_002430\d\?$"):
        find_scored_image(workspace, "ISIC_0024307")
    with pytest.raises(RequestError, match=r"no row of scores has this image_id .* check the name$"):
        find_scored_image(workspace, "something else entirely")


def test_a_million_identifiers_are_not_all_compared_letter_by_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SIMILAR", 50)
    known = {f"ISIC_{number:07d}" for number in range(1000)}
    assert module._similar("ISIC_0000999x", known)[0] == "ISIC_0000999"


def test_an_image_in_quarantine_is_said_with_its_reason(place: str) -> None:
    row = {
        "run_id": "score-7",
        "flow": "score",
        "uri": f"{place}/archive/ISIC_9.jpg" if place.startswith("s3") else f"file://{place}/ISIC_9.jpg",
        "etag": "1-2",
        "size_bytes": 7,
        "reason": "truncated",
        "detail": "Premature\x1b[31m end",
        "quarantined_at": NIGHT + timedelta(hours=1),
        "sha256": None,
    }
    tables.append(place, "quarantine", pa.Table.from_pylist([row], QUARANTINE), "score-7")
    with pytest.raises(
        RequestError, match=r"ISIC_9: was not scored, it is in quarantine: .truncated .*run score-7$"
    ) as error:
        find_scored_image(place, "ISIC_9")
    assert "\x1b" not in str(error.value)


def test_a_labelled_sample_that_was_not_scored_is_said(tmp_path: object) -> None:
    workspace = str(tmp_path)
    tables.append(
        workspace, "samples", pa.Table.from_pylist([{"image_id": "ISIC_5", "split": "test"}], SAMPLES), "p"
    )
    with pytest.raises(RequestError, match=r"ISIC_5: is a labelled sample \(test\) that was never scored"):
        find_scored_image(workspace, "ISIC_5")


@pytest.mark.parametrize("image", ["", "a\nb", "a\x1b[31m", "x" * 2000, "a\u202eb"])
def test_what_is_no_identifier_is_refused(image: str, tmp_path: object) -> None:
    with pytest.raises(RequestError, match="is not an image_id: give the name of an image file") as error:
        find_scored_image(str(tmp_path), image)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


def test_markup_is_an_ordinary_unknown_name(tmp_path: object) -> None:
    workspace = str(tmp_path)
    publish_scores(workspace, score_row())
    for image in ("<script>alert(1)</script>", "'; DROP TABLE scores", "$(reboot)", "../../etc/passwd"):
        with pytest.raises(RequestError, match="no row of scores has this image_id"):
            find_scored_image(workspace, image)
