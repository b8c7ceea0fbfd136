"""Tests of skinml/models/decide_challenger.py: one decision a retraining, and only against today's champion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skinml.errors import RequestError
from skinml.layout import model_url
from skinml.models import promotions, registry
from skinml.models.champion import Alias, read_alias
from skinml.models.decide import crown_first, promote, roll_back
from skinml.models.decide_challenger import decide_challenger
from skinml.models.floors import Floors
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision
from skinml.models.proposals import find_proposals
from skinml.storage.objects import write_bytes
from tests.unit.models.bundles import make_version

TRAIN = "train-20260101T000000Z-abcdef"
RUN = "retrain-20260102T000000Z-abcdef"
EVIDENCE = [{"criterion": "gain in balanced accuracy", "verdict": "better", "difference": 0.1}]

Make = Callable[..., Manifest]


@pytest.fixture
def make(place: str, tmp_path: Path) -> Make:
    """Register a version; the first is champion."""

    def register(version: str, right: float = 0.9, **more: Any) -> Manifest:
        return make_version(place, tmp_path, version, right, **more)

    crown_first(place, register("v1"), Floors(), TRAIN)
    return register


def alias_of(place: str) -> Alias:
    alias = read_alias(place)
    assert alias is not None
    return alias


def decide(place: str, challenger: Manifest, outcome: Any, alias: Alias, run_id: str = RUN) -> Decision:
    return decide_challenger(place, challenger, alias, outcome, "why", EVIDENCE, "0123", 2, run_id)


@pytest.mark.parametrize("outcome", ["promoted", "kept", "proposed"])
def test_a_retraining_decides_once(place: str, make: Make, outcome: str) -> None:
    challenger, alias = make("v2"), alias_of(place)
    first = decide(place, challenger, outcome, alias)
    again = decide(place, challenger, outcome, alias)
    assert (first, first.decision) == (again, outcome)
    assert registry.find(place, "champion").version == ("v2" if outcome == "promoted" else "v1")
    [_, row] = promotions.read_rows(place)
    assert (row["decision"], row["run_id"], row["reason"], row["test_looks"]) == (outcome, RUN, "why", 2)
    assert (row["previous_version"], row["samples_version"], row["test_set"]) == ("v1", 1, "0123")


def test_a_champion_that_was_replaced_makes_a_proposal_of_a_promotion(place: str, make: Make) -> None:
    challenger, before = make("v2"), alias_of(place)
    promote(place, make("v3"), Floors(), "by hand", "Ada", False)
    decision = decide(place, challenger, "promoted", before)
    assert (decision.decision, decision.previous_version) == ("proposed", "v1")
    assert decision.reason == "compared with v1, but the champion is v3 by now; the gate said: why"
    assert decide(place, challenger, "promoted", before) == decision
    assert registry.find(place, "champion").version == "v3"
    [proposal] = find_proposals(promotions.history(place), "v3")
    assert proposal.said() == "compared with v1, but v3 is champion now"


def test_a_changed_challenger_is_not_promoted_and_nothing_is_written(place: str, make: Make) -> None:
    challenger, alias = make("v2"), alias_of(place)
    write_bytes(f"{model_url(place, 'tiny', 'v2')}/model.onnx", b"other")
    with pytest.raises(RequestError, match=r"model\.onnx"):
        decide(place, challenger, "promoted", alias)
    assert [row["decision"] for row in promotions.read_rows(place)] == ["first"]


def test_a_proposal_ends_when_somebody_decides_on_it(place: str, make: Make) -> None:
    versions = [make(f"v{number}") for number in (2, 3)]
    for number, version in enumerate(versions):
        decide(place, version, "proposed", alias_of(place), f"retrain-2026010{number + 2}T000000Z-abcdef")

    def said() -> list[tuple[str, str]]:
        now = registry.find(place, "champion").version
        return [(one.model_version, one.said()) for one in find_proposals(promotions.history(place), now)]

    assert said() == [("v2", "superseded by the proposal of v3"), ("v3", "open")]
    promote(place, versions[1], Floors(), None, "Ada", False)
    assert said() == [("v2", "compared with v1, but v3 is champion now")]
    row = promotions.read_rows(place)[-1]
    assert (row["reason"], row["test_set"]) == ("why", None), "the gate's look is not counted twice"
    roll_back(place, None, "Ada")
    assert said() == [("v2", "open")]
    promote(place, versions[0], Floors(), "better on melanoma", "Ada", False)
    assert promotions.read_rows(place)[-1]["reason"] == "better on melanoma"
    assert said() == []
