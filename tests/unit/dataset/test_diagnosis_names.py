"""Tests of skinml/dataset/diagnosis_names.py: which names are one of the seven, and which are not."""

from __future__ import annotations

import pytest

from skinml.dataset.diagnosis_names import class_of
from skinml.labels import DIAGNOSES


@pytest.mark.parametrize("name", DIAGNOSES)
def test_the_seven_are_themselves_in_any_case(name: str) -> None:
    assert class_of(name) == class_of(name.upper()) == class_of(f" {name} ") == name


@pytest.mark.parametrize(
    ("name", "dx"),
    [
        ("Solar or actinic keratosis", "akiec"),
        ("AK", "akiec"),
        ("Bowen's disease", "akiec"),
        ("Squamous cell carcinoma in situ, Bowens disease", "akiec"),
        ("Basal cell carcinoma", "bcc"),
        ("Seborrheic keratosis", "bkl"),
        ("Lichen planus-like keratosis", "bkl"),
        ("Pigmented benign keratosis", "bkl"),
        ("Dermatofibroma", "df"),
        ("Melanoma, NOS", "mel"),
        ("Melanoma in situ", "mel"),
        ("Melanoma Invasive", "mel"),
        ("Nevus", "nv"),
        ("melanocytic naevus", "nv"),
        ("Haemangioma", "vasc"),
        ("Benign soft tissue proliferations - Vascular", "vasc"),
    ],
)
def test_names_of_the_isic_archive(name: str, dx: str) -> None:
    assert class_of(name) == dx


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("SCC", "scc"),
        ("Squamous cell carcinoma, NOS", "scc"),
        ("UNK", "unknown"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("NaN", "unknown"),
        ("Melanoma metastasis", "melanoma metastasis"),
        ("Lentigo NOS", "lentigo nos"),
        ("Scar", "scar"),
    ],
)
def test_what_is_none_of_the_seven_keeps_a_name_of_its_own(name: str, other: str) -> None:
    assert class_of(name) == other
