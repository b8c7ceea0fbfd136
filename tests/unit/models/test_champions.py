"""Tests of skinml/models/promotions.py: which versions are or were champion."""

from __future__ import annotations

import pyarrow as pa
import pytest

from skinml import tables
from skinml.layout import champion_url
from skinml.models.champion import Champion
from skinml.models.promotions import champions
from skinml.schemas import PROMOTIONS
from skinml.storage.objects import write_bytes


def decide(workspace: str, version: str, decision: str, previous: str | None, alias: str = "champion") -> None:
    row = dict.fromkeys(PROMOTIONS.names) | {"alias": alias, "decision": decision, "model_name": "cnn"}
    row |= {"model_version": version, "previous_version": previous}
    rows = pa.Table.from_pylist([row], PROMOTIONS)
    tables.append(workspace, "promotions", rows, tables.attempt(version))


def name_champion(workspace: str, version: str) -> None:
    champion = Champion(model_name="cnn", model_version=version)
    write_bytes(champion_url(workspace), champion.model_dump_json().encode())


def test_who_was_made_champion_counts_and_who_was_judged_only_does_not(place: str) -> None:
    assert champions(place) == frozenset()
    name_champion(place, "v0")
    assert champions(place) == {("cnn", "v0")}, "the table did not exist yet"
    decide(place, "v1", "first", None)
    decide(place, "v2", "kept", "v1")
    decide(place, "v3", "proposed", "v1")
    decide(place, "v4", "forced", "v1")
    decide(place, "v5", "promoted", "v4", alias="shadow")
    name_champion(place, "v4")
    assert champions(place) == {("cnn", "v1"), ("cnn", "v4")}


@pytest.mark.parametrize("decision", ["promoted", "forced"])
def test_the_champion_of_a_workspace_from_before_the_table_counts_after_a_promotion(
    place: str, decision: str
) -> None:
    write_bytes(f"{place}/models/cnn/v1/manifest.json", b"{}")
    decide(place, "v2", decision, "v1")
    name_champion(place, "v2")
    assert champions(place) >= {("cnn", "v1"), ("cnn", "v2")}
    assert not {version for _, version in champions(place)} - {"v1", "v2"}
