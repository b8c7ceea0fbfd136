"""Map other names of the seven diagnoses to them, and name the classes that are not one of them.

The seven are those of HAM10000 (Tschandl et al., Sci. Data 5:180161, 2018, table 1) and of ISIC 2018, task 3:
akiec holds actinic keratoses and intraepithelial carcinoma (Bowen's disease, that is squamous cell carcinoma in
situ), bkl seborrheic keratoses, solar lentigines and lichen planus-like keratoses, vasc angiomas,
angiokeratomas, pyogenic granulomas and haemorrhage, mel melanoma of any kind but metastases, nv any naevus.
ISIC 2019 calls akiec AK.

The ISIC archive uses other names for HAM10000's images, as its export of that collection shows: bkl is
"Pigmented benign keratosis", vasc is only in `diagnosis_2`, and of akiec's 327 images 130 are "Solar or actinic
keratosis" and 197 "Squamous cell carcinoma, NOS". In other collections the latter name means invasive
carcinoma. So scc is not mapped unless the user gives `--map scc=akiec`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from skinml.labels import DIAGNOSES

UNKNOWN = "unknown"
"""The class of an image whose diagnosis is blank or "unknown"."""

_NAMES = {
    "akiec": (
        "ak",
        "actinic keratosis",
        "actinic keratoses",
        "solar keratosis",
        "solar or actinic keratosis",
        "intraepithelial carcinoma",
        "bowens disease",
        "squamous cell carcinoma in situ",
        "squamous cell carcinoma in situ bowens disease",
    ),
    "bcc": ("basal cell carcinoma",),
    "bkl": (
        "benign keratosis",
        "pigmented benign keratosis",
        "seborrheic keratosis",
        "seborrhoeic keratosis",
        "solar lentigo",
        "lichen planus like keratosis",
        "lichenoid keratosis",
    ),
    "df": ("dermatofibroma",),
    "mel": ("melanoma", "melanoma nos", "melanoma in situ", "melanoma invasive", "malignant melanoma"),
    "nv": ("nevus", "nevi", "melanocytic nevus", "melanocytic nevi"),
    "vasc": (
        "vascular lesion",
        "benign soft tissue proliferations vascular",
        "angioma",
        "cherry angioma",
        "hemangioma",
        "angiokeratoma",
        "pyogenic granuloma",
        "hemorrhage",
    ),
    "scc": ("squamous cell carcinoma", "squamous cell carcinoma nos", "squamous cell carcinoma invasive"),
    UNKNOWN: ("unk", "", "nan", "na", "n a", "null", "none"),
}
_CLASSES = {
    **{name: name for name in DIAGNOSES},
    **{name: short for short, names in _NAMES.items() for name in names},
}


@lru_cache(4096)
def class_of(name: str) -> str:
    """Return the class of a diagnosis: one of the seven, scc, unknown, or its own name in lower case.

    Case, punctuation and British spelling are ignored.

    Example:
        >>> class_of("Melanoma, NOS"), class_of("Actinic keratosis"), class_of("scar")
        ('mel', 'akiec', 'scar')
    """
    folded = re.sub(r"[\W_]+", " ", name.casefold().replace("'", "").replace("\u2019", "")).strip()
    folded = folded.replace("naev", "nev").replace("haem", "hem")
    return _CLASSES.get(folded, folded)
