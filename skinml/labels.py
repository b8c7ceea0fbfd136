"""The seven HAM10000 diagnoses: class order, names, and which are malignant."""

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
"""Full names, after Tschandl et al., Sci. Data 5:180161 (2018)."""

MALIGNANT: tuple[str, ...] = ("akiec", "bcc", "mel")
"""The classes in `p_malignant`: melanoma, basal cell carcinoma, and akiec (in-situ carcinoma and its
precursor)."""

MELANOMA: int = DIAGNOSES.index("mel")


def encode(diagnoses: Iterable[str]) -> NDArray[np.int64]:
    """Return the class numbers of diagnosis names, int64 (n,), 0 to 6.

    Raises:
        KeyError: a name is not one of DIAGNOSES.

    Example:
        >>> encode(["mel", "nv", "akiec"]).tolist()
        [4, 5, 0]
    """
    number = {name: position for position, name in enumerate(DIAGNOSES)}
    return np.fromiter((number[name] for name in diagnoses), dtype=np.int64)


def malignant_probability(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the probability of any malignant diagnosis, float (n,), 0 to 1.

    Args:
        probabilities: float (n, 7), in the order of DIAGNOSES.

    Example:
        >>> probabilities = np.array([[0.1, 0.2, 0.0, 0.0, 0.4, 0.3, 0.0]])
        >>> malignant_probability(probabilities).round(2).tolist()
        [0.7]
    """
    columns = [DIAGNOSES.index(name) for name in MALIGNANT]
    total: NDArray[np.floating] = probabilities[:, columns].sum(axis=1)
    return total
