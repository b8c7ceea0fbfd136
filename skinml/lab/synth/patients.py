"""Make up patients: their lesions, the number of images of each, and the rows of metadata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HAM10000: dict[str, int] = {
    "akiec": 327,
    "bcc": 514,
    "bkl": 1099,
    "df": 115,
    "mel": 1113,
    "nv": 6705,
    "vasc": 142,
}
"""Images of each diagnosis in HAM10000, 10,015 in all: the shares that a made-up archive has too."""

LEAST_LESIONS = 6
"""Lesions that each diagnosis has from 100 images on: held out one in seven, some are left to train on."""

IMAGES_A_LESION = 10_015 / 7_470
NUMBERS = 10**7
"""ISIC_ and HAM_ are followed by seven digits."""

COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")

_AGES = {"akiec": 67, "bcc": 67, "bkl": 64, "df": 52, "mel": 61, "nv": 46, "vasc": 51}  # means; deviation 15
_UNKNOWN_SHARE = 0.006  # of rows without an age, and of rows without a sex

# What is drawn, with weights: HAM10000's figures, rounded.
_DX_TYPES: dict[str, dict[str, float]] = {
    "akiec": {"histo": 1},
    "bcc": {"histo": 1},
    "bkl": {"histo": 70, "consensus": 24, "confocal": 6},
    "df": {"consensus": 52, "histo": 48},
    "mel": {"histo": 1},
    "nv": {"follow_up": 55, "histo": 37, "consensus": 8},
    "vasc": {"consensus": 53, "histo": 47},
}
_DATASETS: dict[str, dict[str, float]] = {
    "akiec": {"rosendahl": 90, "vidir_modern": 10},
    "bcc": {"rosendahl": 58, "vidir_modern": 41, "vienna_dias": 1},
    "bkl": {"rosendahl": 45, "vidir_modern": 43, "vidir_molemax": 11, "vienna_dias": 1},
    "df": {"vidir_modern": 44, "rosendahl": 26, "vidir_molemax": 26, "vienna_dias": 4},
    "mel": {"vidir_modern": 61, "rosendahl": 31, "vienna_dias": 6, "vidir_molemax": 2},
    "nv": {"vidir_molemax": 56, "vidir_modern": 27, "rosendahl": 12, "vienna_dias": 5},
    "vasc": {"vidir_modern": 58, "vidir_molemax": 38, "rosendahl": 2, "vienna_dias": 2},
}
_MOLES_AND_REST: dict[str, float] = {
    "back": 23,
    "lower extremity": 20,
    "trunk": 16,
    "upper extremity": 11,
    "abdomen": 12,
    "chest": 4,
    "foot": 4,
    "face": 2,
    "neck": 2,
    "unknown": 2.3,
    "hand": 1,
    "genital": 0.5,
    "scalp": 0.5,
    "ear": 0.4,
    "acral": 0.1,
}
_SUN: dict[str, float] = {
    "face": 30,
    "back": 17,
    "upper extremity": 15,
    "lower extremity": 13,
    "scalp": 6,
    "chest": 6,
    "neck": 5,
    "abdomen": 3,
    "hand": 3,
    "unknown": 3,
    "ear": 2,
}
_LOCALIZATIONS: dict[str, dict[str, float]] = {
    **dict.fromkeys(("akiec", "bcc", "bkl"), _SUN),
    **dict.fromkeys(("df", "mel", "nv", "vasc"), _MOLES_AND_REST),
}


@dataclass(frozen=True)
class Lesion:
    """One lesion of one patient, and its images: one to three."""

    lesion_id: str
    image_ids: tuple[str, ...]
    dx: str
    dx_type: str
    age: float | None
    sex: str
    localization: str
    dataset: str

    def rows(self) -> list[tuple[str, ...]]:
        """One row of metadata per image, as COLUMNS names them; a missing age is an empty text."""
        age = "" if self.age is None else f"{self.age:.1f}"
        about = (self.dx, self.dx_type, age, self.sex, self.localization, self.dataset)
        return [(self.lesion_id, image_id, *about) for image_id in self.image_ids]


def image_counts(images: int) -> dict[str, int]:
    """How many of `images` (7 or more) each diagnosis gets: HAM10000's shares, but none too rare to learn.

    The rarest get one image each of the first 7, and six from 96 on; naevi, the most, give theirs up.
    """
    least = min(LEAST_LESIONS, max(1, images // 16))
    total = sum(HAM10000.values())
    counts = {dx: max(least, round(images * of_all / total)) for dx, of_all in HAM10000.items() if dx != "nv"}
    counts["nv"] = images - sum(counts.values())
    return counts


def images_per_lesion(images: int) -> list[int]:
    """Split one diagnosis's images into lesions: 26 % have several as in HAM10000, two or three of them."""
    lesions = min(images, max(LEAST_LESIONS, round(images / IMAGES_A_LESION)))
    further = images - lesions
    with_three = round(further * 0.21)
    with_two = further - 2 * with_three
    return [3] * with_three + [2] * with_two + [1] * (lesions - with_two - with_three)


def make_up_lesions(images: int, rng: np.random.Generator) -> list[Lesion]:
    """All lesions of an archive of this many images (7 to 10,000,000), in random order.

    The ids start anywhere, so that archives of two seeds can be read into one table.
    """
    sizes = [(dx, size) for dx, count in image_counts(images).items() for size in images_per_lesion(count)]
    rng.shuffle(sizes)
    without_age = _some_single(sizes, images, rng)
    without_sex = _some_single(sizes, images, rng)
    first_lesion = int(rng.integers(0, NUMBERS - len(sizes) + 1))
    image_ids = iter(rng.permutation(images) + rng.integers(0, NUMBERS - images + 1))
    lesions = []
    for position, (dx, size) in enumerate(sizes):
        age = 5.0 * round(float(np.clip(rng.normal(_AGES[dx], 15.0), 0.0, 85.0)) / 5.0)
        sex = "male" if rng.random() < 0.54 else "female"
        lesions.append(
            Lesion(
                lesion_id=f"HAM_{first_lesion + position:07d}",
                image_ids=tuple(f"ISIC_{next(image_ids):07d}" for _ in range(size)),
                dx=dx,
                dx_type=_drawn(_DX_TYPES[dx], rng),
                age=None if position in without_age else age,
                sex="unknown" if position in without_sex else sex,
                localization=_drawn(_LOCALIZATIONS[dx], rng),
                dataset=_drawn(_DATASETS[dx], rng),
            )
        )
    return lesions


def _some_single(sizes: list[tuple[str, int]], images: int, rng: np.random.Generator) -> set[int]:
    """Lesions (positions) about which something is unknown: with one image each, so that rows are as many."""
    rows = max(1, round(images * _UNKNOWN_SHARE)) if images >= 50 else 0
    single = [position for position, (_, size) in enumerate(sizes) if size == 1]
    return set(rng.permutation(single)[:rows].tolist())


def _drawn(weights: dict[str, float], rng: np.random.Generator) -> str:
    """One of the names, by weight."""
    share = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]
