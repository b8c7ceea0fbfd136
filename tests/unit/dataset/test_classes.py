"""Tests of skinml/dataset/classes.py: --map and --drop, and what is refused without them."""

from __future__ import annotations

import pandas as pd
import pytest

from skinml.dataset.classes import read_choices, refuse_other_classes
from skinml.errors import RequestError


def test_choices_are_read_as_the_table_names_its_classes() -> None:
    choices = read_choices(["scc=akiec", "Lentigo NOS=BKL"], ["UNK", "No-Lesion"])
    assert choices.diagnoses == {"scc": "akiec", "lentigo nos": "bkl"}
    assert choices.dropped == frozenset({"unknown"})
    assert choices.without_lesion
    assert [choices.apply(name) for name in ("scc", "nv", "unknown")] == ["akiec", "nv", "unknown"]


@pytest.mark.parametrize(
    ("mapped", "dropped", "words"),
    [
        (["scc"], [], "--map 'scc': write CLASS=DIAGNOSIS"),
        (["scc=cancer"], [], "--map 'scc=cancer': write CLASS=DIAGNOSIS with one of akiec, "),
        (["=mel"], [], "--map '=mel': write CLASS=DIAGNOSIS"),
        (["Nevus=mel"], [], "--map 'Nevus=mel': Nevus is nv already, one of the seven"),
        (["scc=akiec", "SCC=bcc"], [], "--map 'SCC=bcc': SCC is mapped to akiec as well"),
        (["scc=akiec"], ["scc"], "--drop 'scc': it is mapped with --map as well"),
    ],
)
def test_choices_that_make_no_sense_are_refused(mapped: list[str], dropped: list[str], words: str) -> None:
    with pytest.raises(RequestError) as refusal:
        read_choices(mapped, dropped)
    assert str(refusal.value).startswith(words)


def test_a_refusal_names_the_classes_and_the_flags_to_give() -> None:
    names = ["nv", "scc", "lentigo nos", "scc", "unknown"]
    rows = pd.DataFrame({"dx": names, "image_id": list("abcde"), "line": range(2, 7), "table": 0})
    with pytest.raises(RequestError) as refusal:
        refuse_other_classes(rows, ["m.csv"], read_choices([], ["unknown"]))
    assert str(refusal.value) == (
        "--metadata m.csv: line 3 (b): 'scc' is none of akiec, bcc, bkl, df, mel, nv, vasc; such rows in all: "
        "scc 2, lentigo nos 1. Leave their images out with --drop scc --drop 'lentigo nos', or map a "
        "class, as --map scc=akiec"
    )
    refuse_other_classes(rows, ["m.csv"], read_choices([], ["unknown", "scc", "lentigo nos"]))
