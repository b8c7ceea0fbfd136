"""The seven HAM10000 diagnoses: their one order, their names, and which are malignant."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

DIAGNOSES: tuple[str, ...] = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
"""Class order everywhere: alphabetical, as scikit-learn's LabelEncoder gives it (akiec 0 ... vasc 6)."""

NAMES: dict[str, str] = {
    "akiec": "actinic keratosis / Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic naevus",
    "vasc": "vascular lesion",
}
"""Names for people, after Tschandl et al., Sci. Data 5:180161 (2018)."""

MALIGNANT: tuple[str, ...] = ("akiec", "bcc", "mel")
"""What `p_malignant` sums: melanoma, basal cell carcinoma, and akiec (in-situ carcinoma and its precursor)."""

MELANOMA: int = DIAGNOSES.index("mel")


def encode(diagnoses: Iterable[str]) -> NDArray[np.int64]:
    """Diagnosis names to class numbers, shape (n,), 0 to 6. A name that is none of the seven is a KeyError."""
    number = {name: position for position, name in enumerate(DIAGNOSES)}
    return np.fromiter((number[name] for name in diagnoses), dtype=np.int64)


def malignant_probability(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """The probability of any malignant diagnosis: (n, 7) class probabilities to (n,)."""
    columns = [DIAGNOSES.index(name) for name in MALIGNANT]
    total: NDArray[np.floating] = probabilities[:, columns].sum(axis=1)
    return total
