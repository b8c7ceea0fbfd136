"""Tests of skinml/labels.py: the one order of the seven diagnoses."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import LabelEncoder

from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA, NAMES, encode, malignant_probability
from skinml.schemas import PROBABILITY_COLUMNS, SCORES


def test_the_order_is_that_of_the_thesis() -> None:
    shuffled = ["nv", "mel", "bkl", "bcc", "vasc", "akiec", "df", "nv", "mel"]
    assert tuple(LabelEncoder().fit(shuffled).classes_) == DIAGNOSES
    assert encode(shuffled).tolist() == LabelEncoder().fit_transform(shuffled).tolist()
    assert encode(DIAGNOSES).tolist() == list(range(7))
    assert encode([]).shape == (0,)


def test_what_is_none_of_the_seven_is_no_class() -> None:
    with pytest.raises(KeyError, match="MEL"):
        encode(["mel", "MEL"])


def test_every_diagnosis_has_a_name() -> None:
    assert tuple(NAMES) == DIAGNOSES
    assert len(set(NAMES.values())) == 7
    assert NAMES[DIAGNOSES[MELANOMA]] == "melanoma"


def test_malignant_is_akiec_bcc_and_mel() -> None:
    assert MALIGNANT == ("akiec", "bcc", "mel")
    probabilities = np.array([[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.37], np.eye(7)[4], np.eye(7)[5]])
    assert malignant_probability(probabilities).tolist() == pytest.approx([0.19, 1, 0])


def test_the_tables_name_the_classes_in_order() -> None:
    assert tuple(f"p_{name}" for name in DIAGNOSES) == PROBABILITY_COLUMNS
    assert [name for name in SCORES.names if name in PROBABILITY_COLUMNS] == list(PROBABILITY_COLUMNS)
