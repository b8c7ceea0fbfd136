"""Tests of skinml/gate/looks.py: what a look costs, and what new lesions refill."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.errors import RequestError
from skinml.gate import budget_left, looks_spent
from skinml.gate.looks import read_seen_lesions
from skinml.models.judged import read_judged_predictions
from tests.unit.models.bundles import make_version


def look(version: str, before: str | None = "v1", test_set: str | None = "abc", **more: Any) -> dict[str, Any]:
    return {
        "model_name": "tiny",
        "model_version": version,
        "previous_version": before,
        "test_set": test_set,
    } | more


def ids(dx: str, count: int) -> list[str]:
    return [f"{dx}-{number}" for number in range(count)]


OLD = {"mel": ids("mel", 10), "nv": ids("nv", 100)}
SEEN = [*OLD["mel"], *OLD["nv"]]


def spent(looks: int, now: dict[str, list[str]]) -> int:
    rows = [look(f"v{number}") for number in range(looks)]
    return looks_spent(rows, now, {row["model_version"]: SEEN for row in rows})


def test_at_the_same_lesions_every_look_counts() -> None:
    assert [spent(number, OLD) for number in (0, 1, 7, 20)] == [0, 1, 7, 20]


def test_one_new_lesion_refills_next_to_nothing() -> None:
    """A test set with another lesion has another name, but is not a new test set."""
    assert spent(20, {**OLD, "nv": ids("nv", 101)}) == 20
    assert spent(20, {**OLD, "mel": ids("mel", 11)}) == 20


def test_one_diagnosis_alone_cannot_refill_a_test_set() -> None:
    assert (
        spent(20, {**OLD, "nv": ids("nv", 100_000)}) == 11
    )  # half of the figure's diagnoses are as worn as before


def test_as_many_lesions_again_refill_half_and_another_test_set_everything() -> None:
    assert spent(20, {"mel": ids("mel", 20), "nv": ids("nv", 200)}) == 10
    assert spent(20, {"mel": ["other"], "nv": ["others"]}) == 0


def test_what_is_no_look_costs_nothing_and_one_pair_is_looked_at_once() -> None:
    rows = [
        look("v2", None, decision="first"),
        look("v3", "v2", decision="proposed"),
        look("v3", "v2", decision="promoted"),  # by a person, on the same evidence
        look("v2", "v3", None, decision="rolled_back"),
    ]
    seen = dict.fromkeys(("v2", "v3"), SEEN)
    assert looks_spent(rows, OLD, seen) == 2


def test_a_look_whose_lesions_are_not_known_counts_in_full() -> None:
    assert looks_spent([look("gone")], {"mel": ["new"]}, {}) == 1


@given(st.integers(0, 30), st.integers(0, 50), st.integers(0, 300))
def test_lesions_only_ever_refill(looks: int, melanomas: int, naevi: int) -> None:
    now = {"mel": ids("mel", 10 + melanomas), "nv": ids("nv", 100 + naevi)}
    more = {"mel": ids("mel", 11 + melanomas), "nv": ids("nv", 103 + naevi)}
    assert 0 <= spent(looks, more) <= spent(looks, now) <= looks
    assert spent(looks, now) >= looks * (10 / (10 + melanomas) + 100 / (100 + naevi)) / 2 - 1e-6


def test_the_lesions_that_the_message_asks_for_bring_a_look_back() -> None:
    with pytest.raises(RequestError, match="20 of 20 looks at these 1,100 test lesions") as refused:
        budget_left(20, 1_100)
    asked = int(re.findall(r"about (\d+) new", str(refused.value))[0])
    assert asked == 58
    old = {name: ids(name, 550) for name in ("mel", "nv")}
    new = {name: ids(name, 550 + asked // 2) for name in old}
    rows = [look(f"v{number}") for number in range(20)]
    seen = {row["model_version"]: [*old["mel"], *old["nv"]] for row in rows}
    assert budget_left(looks_spent(rows, new, seen), 1_158) == 1
    assert budget_left(19, 1_100) == 1


def images(dx: str, lesion: str = "{dx}-{number}", image: str = "new-{dx}-{number}") -> pd.DataFrame:
    """Twenty test images of a diagnosis, one of each lesion."""
    values = [{"dx": dx, "number": number} for number in range(20)]
    made = pd.DataFrame({"image_id": [image.format(**one) for one in values]})
    return made.assign(dx=dx, lesion_id=[lesion.format(**one) for one in values]).assign(
        split_group=lambda rows: rows["lesion_id"]
    )


def test_lesions_are_read_from_the_versions_that_looked(place: str, tmp_path: Path) -> None:
    make_version(place, tmp_path, "v2")
    rows = [look("v2"), look("gone"), look("v9", test_set=None)]
    test = pd.concat([images("mel"), images("nv")], ignore_index=True)
    found = read_seen_lesions(place, rows, test)
    assert list(found) == ["v2"]
    assert found["v2"] == {*test["lesion_id"]}
    now = {name: [f"{name}-{number}" for number in range(20)] for name in ("mel", "nv")}
    assert looks_spent(rows, now, found) == 2


def test_new_names_and_copies_refill_nothing(place: str, tmp_path: Path) -> None:
    """Lesions with new ids are known by their images, and copies by the lesion whose image they share."""
    manifest = make_version(place, tmp_path, "v2")
    looked = read_judged_predictions(place, manifest)
    renamed = images("mel", lesion="other-{number}").assign(image_id=looked["image_id"].tolist()[:20])
    copied = images("nv", lesion="copy-{number}", image="copy-{number}").assign(
        split_group=images("nv")["lesion_id"]
    )
    test = pd.concat([renamed, images("nv"), copied], ignore_index=True)
    found = read_seen_lesions(place, [look("v2")], test)
    assert found["v2"] == {*renamed["lesion_id"], *images("nv")["lesion_id"]}
