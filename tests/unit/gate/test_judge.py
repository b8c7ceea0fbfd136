"""Tests of skinml/gate/judge.py: whole decisions about made-up challengers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from skinml.errors import RequestError
from skinml.evaluation.comparison import compare
from skinml.gate import Rules, judge_challenger
from skinml.gate.judge import decide
from skinml.models.floors import Criterion
from tests.unit.gate.made_up import BETTER, CHAMPION, QUICK, P, mended, worse_in

FIELDS = {"criterion", "champion", "challenger", "difference", "interval", "margin", "verdict"}


def test_a_truly_better_challenger_is_promoted() -> None:
    verdict = judge_challenger(CHAMPION, BETTER, looks_spent=2, rules=QUICK, speed=(100, 90), size=(10, 10))
    assert verdict.decision == "promote", verdict.reason
    assert verdict.look_in_words() == "look 3 of 20"
    assert {one.verdict for one in verdict.criteria} == {"better", "not worse", "within bounds"}
    assert sum(verdict.lesions.values()) == 500
    assert verdict.level == pytest.approx(0.0025)
    gain = verdict.criteria[0]
    assert gain.interval is not None
    assert 0 < gain.interval[0] < (gain.difference or 0)


def test_the_way_back_is_refused_as_worse() -> None:
    verdict = judge_challenger(BETTER, CHAMPION, looks_spent=0, rules=QUICK)
    assert verdict.decision == "keep"
    assert "worse" in {one.verdict for one in verdict.criteria}
    assert not verdict.calm()


def test_the_champion_itself_is_kept_calmly() -> None:
    verdict = judge_challenger(CHAMPION, CHAMPION, looks_spent=0, rules=QUICK)
    assert (verdict.decision, verdict.calm()) == ("keep", True)
    assert verdict.reason.startswith("not enough evidence of a gain")
    assert not verdict.changed
    assert not verdict.disagreements
    assert verdict.mcnemar["p_value"] == 1


def test_evidence_is_plain_json_with_the_keys_of_a_decision() -> None:
    verdict = judge_challenger(CHAMPION, BETTER, looks_spent=0, rules=QUICK)
    evidence = verdict.evidence()
    assert json.loads(json.dumps(evidence, allow_nan=False)) == json.loads(json.dumps(evidence))
    assert all(set(one) == FIELDS for one in evidence)
    assert type(verdict).model_validate_json(verdict.model_dump_json()) == verdict


def test_the_same_images_give_the_same_verdict() -> None:
    def judged(order: np.ndarray) -> str:
        sides = (one.iloc[order].reset_index(drop=True) for one in (CHAMPION, BETTER))
        return judge_challenger(*sides, looks_spent=0, rules=QUICK).criteria[0].model_dump_json()

    order = np.arange(len(CHAMPION))
    assert judged(order) == judged(order)


def test_a_spent_budget_is_said_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("skinml.gate.judge.compare_resampled")
    with pytest.raises(RequestError, match=r"budget is spent: 20 of 20 looks .* about 27 new test lesions"):
        judge_challenger(CHAMPION, BETTER, looks_spent=20)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.head(0), "no test lesions"),
        (lambda rows: rows.head(9), "image_id differs"),
        (lambda rows: rows.iloc[::-1].reset_index(drop=True), "image_id differs"),
        (lambda rows: rows.assign(dx="nv"), "dx differs"),
        (lambda rows: rows.drop(columns="p_mel"), "no column p_mel"),
        (lambda rows: rows.drop(columns="lesion_id"), "no column lesion_id"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: object, said: str) -> None:
    assert callable(change)
    first = change(CHAMPION) if said == "no test lesions" else CHAMPION
    with pytest.raises(RequestError, match=said):
        judge_challenger(first, change(BETTER), looks_spent=0, rules=QUICK)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("dx", "acne", "acne"), ("dx", None, "None"), ("p_mel", np.nan, "p_mel"), ("p_nv", 7.0, "p_nv")],
)
def test_rubbish_in_both_frames_is_refused_in_one_line(column: str, value: object, said: str) -> None:
    sides = []
    for rows in (CHAMPION, BETTER):
        values: list[object] = [*rows[column][:3], value, *rows[column][4:]]
        sides.append(rows.assign(**{column: pd.Series(values, dtype=object)}))
    with pytest.raises(RequestError, match=said) as refused:
        judge_challenger(*sides, looks_spent=0, rules=QUICK)
    assert "\n" not in str(refused.value)


def test_an_image_that_is_there_twice_is_refused() -> None:
    sides = (pd.concat([one, one.head(1)], ignore_index=True) for one in (CHAMPION, BETTER))
    with pytest.raises(RequestError, match="twice"):
        judge_challenger(*sides, looks_spent=0, rules=QUICK)


def test_without_melanomas_a_person_decides() -> None:
    sides = (one[one["dx"] != "mel"].reset_index(drop=True) for one in (CHAMPION, BETTER))
    verdict = judge_challenger(*sides, looks_spent=0, rules=QUICK)
    assert verdict.decision == "propose"
    assert "melanoma sensitivity" in verdict.reason
    assert "No test lesion is a melanoma" in verdict.sentences[0]


def test_one_spoiled_subgroup_keeps_a_model_that_is_better_on_the_whole() -> None:
    spoiled = worse_in(BETTER, BETTER["localization"] == "face")
    verdict = judge_challenger(CHAMPION, spoiled, looks_spent=0, rules=QUICK)
    worst = next(one for one in verdict.criteria if "subgroup" in one.criterion)
    assert "localization face" in worst.criterion
    assert worst.verdict == "worse"
    assert verdict.decision == "keep"


def test_missed_melanomas_are_never_outvoted_by_a_gain() -> None:
    """The challenger has every other diagnosis right and misses all melanomas."""
    rows = mended(CHAMPION, CHAMPION["dx"] != "mel")
    rows = worse_in(rows, rows["dx"] == "mel")
    verdict = judge_challenger(CHAMPION, rows, looks_spent=0, rules=QUICK)
    assert verdict.criteria[0].verdict == "better"
    assert verdict.decision == "keep"


def test_slow_and_large_challengers_are_kept_back() -> None:
    slow = judge_challenger(CHAMPION, BETTER, looks_spent=0, rules=QUICK, speed=(100, 49))
    large = judge_challenger(CHAMPION, BETTER, looks_spent=0, rules=QUICK, size=(100, 201))
    assert [one.decision for one in (slow, large)] == ["keep", "keep"]
    assert "images per second at least 0.5 times the champion's: 49 for 100" in slow.reason
    assert "bytes of the model at most 2 times the champion's: 201 for 100" in large.reason


def test_what_changed_is_what_a_comparison_says() -> None:
    rows = [one.assign(split="test") for one in (CHAMPION, BETTER)]
    verdict = judge_challenger(*rows, looks_spent=0, rules=QUICK)
    compared = compare(*rows, resamples=100)
    for side, better in (("better", True), ("worse", False)):
        ours = [one.lesion_id for one in verdict.changed if one.better is better]
        assert ours == [one["lesion_id"] for one in compared["changed"][side]]
    assert verdict.mcnemar == compared["mcnemar"]
    differ = CHAMPION[P].to_numpy().argmax(axis=1) != BETTER[P].to_numpy().argmax(axis=1)
    assert {one.image_id for one in verdict.disagreements} == set(CHAMPION["image_id"][differ])
    most = [max(one.p_malignant_champion, one.p_malignant_challenger) for one in verdict.disagreements]
    assert most == sorted(most, reverse=True)


def test_three_lesions_of_each_diagnosis_promote_nothing_even_if_all_are_mended() -> None:
    """With so few lesions, a gain in one diagnosis is chance, though it does not vary in any resample."""
    few = CHAMPION.groupby("dx")["lesion_id"].transform(lambda ids: ids.isin(sorted(set(ids))[:3]))
    champion = worse_in(CHAMPION[few], CHAMPION["dx"][few] == "df").reset_index(drop=True)
    verdict = judge_challenger(champion, mended(champion, champion["dx"] == "df"), looks_spent=0, rules=QUICK)
    assert verdict.criteria[0].difference == pytest.approx(1 / 7)
    assert verdict.criteria[0].verdict == "no gain shown"


def _criteria(
    gain: str = "better", margin: str = "not worse", bound: str = "within bounds", floor: str = "met"
) -> list[Criterion]:
    interval = (0.01, 0.2)
    return [
        Criterion(criterion="gain", difference=0.1, interval=interval, margin=0, verdict=gain),
        Criterion(
            criterion="figure not worse", difference=-0.1, interval=interval, margin=-0.02, verdict=margin
        ),
        Criterion(criterion="bytes", champion=1, challenger=3, margin=2, verdict=bound),
        Criterion(criterion="floor", challenger=0.5, interval=interval, margin=0.4, verdict=floor),
    ]


@pytest.mark.parametrize("floor", ["met", "not met", "not judged"])
@pytest.mark.parametrize("bound", ["within bounds", "out of bounds", "not measured"])
@pytest.mark.parametrize("margin", ["not worse", "worse", "not assessable"])
@pytest.mark.parametrize("gain", ["better", "no gain shown"])
def test_which_finding_wins(gain: str, margin: str, bound: str, floor: str) -> None:
    decision, reason = decide(_criteria(gain, margin, bound, floor))
    if floor != "met":
        expected, word = "keep", "below the floors"
    elif margin == "worse" or bound == "out of bounds":
        expected, word = "keep", "figure is worse" if margin == "worse" else "bytes: 3 for 1"
    elif gain != "better":
        expected, word = "keep", "not enough evidence"
    elif margin == "not assessable":
        expected, word = "propose", "too few lesions to assess figure"
    else:
        expected, word = "promote", "nothing is worse"
    assert decision == expected
    assert word in reason
    assert "\n" not in reason


def test_the_gate_judges_only_subgroups_with_enough_lesions() -> None:
    verdict = judge_challenger(
        CHAMPION, BETTER, looks_spent=0, rules=Rules(resamples=200, subgroup_lesions=10_000)
    )
    worst = next(one for one in verdict.criteria if "subgroup" in one.criterion)
    assert worst.verdict == "not assessable"
    assert any(name.startswith("sex female (") for name in verdict.few)


def test_labels_that_contradict_each_other_within_a_lesion_do_not_stop_the_gate() -> None:
    sides = []
    for rows in (CHAMPION, BETTER):
        torn = rows.copy()
        torn.loc[torn.index[torn["lesion_id"].duplicated()][:20], "dx"] = "vasc"
        sides.append(torn)
    verdict = judge_challenger(*sides, looks_spent=0, rules=QUICK)
    assert json.dumps(verdict.evidence(), allow_nan=False)


def test_subgroups_that_nobody_recorded_are_no_subgroups() -> None:
    columns = ["age", "sex", "localization", "source"]
    sides = [one.drop(columns=columns) for one in (CHAMPION, BETTER)]
    verdict = judge_challenger(*sides, looks_spent=0, rules=QUICK)
    assert not verdict.few
    assert verdict.decision == "propose"
    assert "worst subgroup" in verdict.reason
