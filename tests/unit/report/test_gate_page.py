"""Tests of skinml/report/gate_page.py and gate_figure.py: the page of a verdict."""

from __future__ import annotations

import csv
import io
import re

import pytest
from PIL import Image

from skinml.gate import Verdict, judge_challenger
from skinml.report.canvas import FOOTER
from skinml.report.gate_figure import draw_criteria
from skinml.report.gate_page import SHOWN_LESIONS, shown_lesions, wanted_thumbnails, worklist, write_gate_page
from skinml.storage.objects import read_bytes
from tests.unit.gate.made_up import BETTER, CHAMPION, QUICK, worse_in
from tests.unit.report.test_figures import _texts, inside


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return judge_challenger(CHAMPION, BETTER, looks_spent=2, rules=QUICK, speed=(1000, 900), size=(10, 12))


def _write(place: str, verdict: Verdict, decision: str | None = None) -> str:
    thumbnails = dict.fromkeys(wanted_thumbnails(verdict)[:5], _png())
    files = write_gate_page(
        f"{place}/retraining",
        verdict,
        thumbnails,
        champion="v1",
        challenger="v2",
        decision=decision,
        new_lesions="61 new lesions, 50 are needed: retraining is due",
    )
    assert [file.rpartition("/")[2] for file in files] == ["index.html", "criteria.png", "disagreements.csv"]
    return read_bytes(files[0]).decode()


def test_the_page_says_everything_that_a_person_needs(place: str, verdict: Verdict) -> None:
    page = _write(place, verdict)
    for said in (
        "Promoted: the challenger is champion now",
        "Research use only",
        "look 3 of 20",
        "61 new lesions, 50 are needed: retraining is due",
        f"{verdict.smallest_gain:.2f} in balanced accuracy",
        "skinml models rollback",
        *(one.criterion.replace("'", "&#39;") for one in verdict.criteria),
        *verdict.sentences,
    ):
        assert said in page, said
    assert page.count("data:image/png;base64,") == 1 + 5
    assert len(re.findall("<li class=", page)) == min(SHOWN_LESIONS, len(verdict.changed))


def test_a_proposal_names_the_command(place: str, verdict: Verdict) -> None:
    page = _write(place, verdict, "propose")
    assert "Proposed: a person decides" in page
    assert "skinml models promote v2 --reason" in page


def test_the_worklist_has_every_disagreement(place: str, verdict: Verdict) -> None:
    _write(place, verdict)
    rows = list(csv.DictReader(io.StringIO(read_bytes(f"{place}/retraining/disagreements.csv").decode())))
    assert [row["image_id"] for row in rows] == [one.image_id for one in verdict.disagreements]
    assert set(rows[0]) == set(type(verdict.disagreements[0]).model_fields)


def test_nothing_changed_makes_a_page_too(place: str) -> None:
    page = _write(place, judge_challenger(CHAMPION, CHAMPION, looks_spent=0, rules=QUICK))
    assert "the usual outcome" in page
    assert "0 lesions got better, 0 got worse" in page
    assert read_bytes(f"{place}/retraining/disagreements.csv").count(b"\n") == 1


def test_names_of_images_are_no_markup(place: str, verdict: Verdict) -> None:
    lesion = verdict.changed[0]
    image = lesion.images[0].model_copy(update={"image_id": "<script>alert(1)</script>"})
    hostile = verdict.model_copy(update={"changed": (lesion.model_copy(update={"images": (image,)}),)})
    assert "<script>" not in _write(place, hostile)


def test_malignant_lesions_that_got_worse_come_first(verdict: Verdict) -> None:
    order = [(one.dx in ("akiec", "bcc", "mel"), one.better) for one in shown_lesions(verdict)]
    assert order == sorted(order, key=lambda one: (not one[0], one[1]))


@pytest.mark.parametrize("name", ["better", "worse", "same"])
def test_the_picture_is_whole_and_says_every_verdict(name: str) -> None:
    challenger = {"better": BETTER, "worse": worse_in(CHAMPION, CHAMPION["dx"] == "mel"), "same": CHAMPION}[
        name
    ]
    found = judge_challenger(CHAMPION, challenger, looks_spent=0, rules=QUICK)
    figure = draw_criteria("v2 against v1, n = 500 test lesions, look 1 of 20", found.criteria)
    texts = " ".join(_texts(figure).split())
    for said in (FOOTER, "n = 500", "difference (fraction)", *{one.verdict for one in found.criteria[:6]}):
        assert said in texts, said
    inside(figure)


def test_no_spreadsheet_executes_the_worklist(verdict: Verdict) -> None:
    odd = verdict.disagreements[0].model_copy(update={"image_id": "=cmd()", "lesion_id": "@SUM(A1)"})
    rows = worklist(verdict.model_copy(update={"disagreements": (odd,)})).decode()
    assert """"'=cmd()","'@SUM(A1)",""" in rows
