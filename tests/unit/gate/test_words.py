"""Tests of skinml/gate/words.py: counted in lesions, in plain words."""

from __future__ import annotations

import pytest

from skinml.gate import judge_challenger
from skinml.gate.words import _chance
from tests.unit.gate.made_up import CHAMPION, QUICK, mended, worse_in


def test_found_and_missed_are_lesions_not_images() -> None:
    melanomas = sorted(set(CHAMPION["lesion_id"][CHAMPION["dx"] == "mel"]))
    champion = worse_in(CHAMPION, CHAMPION["lesion_id"].isin(melanomas[:2]))
    verdict = judge_challenger(
        champion, mended(champion, CHAMPION["lesion_id"].isin(melanomas[:2])), looks_spent=0, rules=QUICK
    )
    assert verdict.sentences[0] == (
        f"Found 2 more melanomas of {len(melanomas)}, as many false alarms as before: within chance."
    )
    back = judge_challenger(
        mended(champion, CHAMPION["lesion_id"].isin(melanomas[:1])), champion, looks_spent=0, rules=QUICK
    )
    assert back.sentences[0].startswith(f"Found 1 fewer melanoma of {len(melanomas)},")


def test_a_large_difference_is_more_than_chance_explains() -> None:
    champion = worse_in(CHAMPION, CHAMPION["dx"] == "mel")
    verdict = judge_challenger(champion, mended(champion, champion["dx"] == "mel"), looks_spent=0, rules=QUICK)
    assert "the difference in melanomas found is more than chance explains" in verdict.sentences[0]


@pytest.mark.parametrize(
    ("hits", "alarms", "said"),
    [
        (True, True, "within chance"),
        (False, False, "both more than chance explains"),
        (
            True,
            False,
            "the difference in false alarms is more than chance explains, that in mels found is within chance",
        ),
    ],
)
def test_chance_in_words(hits: bool, alarms: bool, said: str) -> None:
    assert _chance(hits, alarms, "mel") == said
