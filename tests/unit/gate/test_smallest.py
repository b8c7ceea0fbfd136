"""Tests of skinml/gate/smallest.py and of the page that prints the rules."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.gate import Rules, judge_challenger, smallest_gain
from skinml.gate.judge import WORST_SUBGROUP_NAME
from skinml.labels import DIAGNOSES
from tests.conftest import REPOSITORY
from tests.unit.gate.made_up import BETTER, CHAMPION, QUICK

HAM10000 = {"akiec": 34, "bcc": 50, "bkl": 102, "df": 15, "mel": 87, "nv": 828, "vasc": 12}
PAGE = " ".join((REPOSITORY / "docs" / "change-control.md").read_text(encoding="utf-8").split())
RULES = Rules()


def test_four_times_the_lesions_show_half_the_gain() -> None:
    more = {name: 4 * count for name, count in HAM10000.items()}
    assert smallest_gain(more) == pytest.approx(smallest_gain(HAM10000) / 2, rel=0.15)


@given(st.dictionaries(st.sampled_from(DIAGNOSES), st.integers(0, 3_000)))
def test_any_lesions_give_a_fraction(lesions: dict[str, int]) -> None:
    if not any(lesions.values()):
        with pytest.raises(ValueError, match="no test lesion"):
            smallest_gain(lesions)
        return
    assert 0 < smallest_gain(lesions, power=0.5) <= smallest_gain(lesions) <= 1


def test_a_gain_above_the_smallest_is_shown_and_the_verdict_says_which_it_is() -> None:
    verdict = judge_challenger(CHAMPION, BETTER, looks_spent=0, rules=QUICK)
    assert 0 < verdict.smallest_gain < (verdict.criteria[0].difference or 0)


def test_change_control_prints_the_rules() -> None:
    table = re.findall(
        r"\| ([^|]+?) \| (0\.\d\d) \|", PAGE.partition("| figure | margin |")[2].partition("###")[0]
    )
    printed = {name: float(margin) for name, margin in table[: len(RULES.margins) + 1]}
    assert printed == {
        **{one.name: one.margin for one in RULES.margins},
        WORST_SUBGROUP_NAME: RULES.subgroup_margin,
    }
    for said in (
        f"{RULES.resamples:,} times",
        f"over {RULES.looks} looks at a test set",
        f"a chance of {RULES.budget:g} at most",
        f"{RULES.level:g} a look",
        f"by the {100 * RULES.confidence:g} % bound",
        f"with {RULES.subgroup_lesions} lesions or more",
        f"fewer than {RULES.subgroup_diagnosis} lesions in a subgroup",
        f"at least {RULES.slowest:g} times the champion's images per second",
        f"at most {RULES.largest:g} times its bytes",
        f"After {RULES.looks} looks, {100 * (RULES.looks / (RULES.looks - 1) - 1):.1f} % more test lesions",
        f"that is {smallest_gain(HAM10000):.2f} in balanced accuracy",
        f"A gain of {smallest_gain(HAM10000, power=0.5):.2f} is shown in half of the cases",
    ):
        assert said in PAGE, said


def test_change_control_has_the_parts_of_a_change_control_plan() -> None:
    for part in ("description of modifications", "modification protocol", "impact assessment", "who decides"):
        assert re.search(rf"## [^#]*{part}", PAGE, re.IGNORECASE), part
    assert "not a medical device" in PAGE
