"""The licence of HAM10000's images: shown, accepted, and checked for every image."""

from __future__ import annotations

from skinml.errors import RequestError, RunError

LICENCE = "CC BY-NC 4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by-nc/4.0/"

COVERED = ("CC-BY-NC", "CC-BY", "CC-0")
"""The archive's names of this licence, and of those that allow more."""

CITATION = (
    "Tschandl P., Rosendahl C., Kittler H., The HAM10000 dataset, a large collection of multi-source "
    "dermatoscopic images of common pigmented skin lesions, Sci. Data 5:180161 (2018), "
    "doi:10.1038/sdata.2018.161. Attribution: ViDIR Group, Department of Dermatology, Medical University of "
    "Vienna."
)

TERMS = (
    f"HAM10000 has the licence {LICENCE} ({LICENCE_URL}): you may use the images if you name their makers, "
    "and not for commercial purposes"
)


def check_accepted(accepted: bool) -> None:
    """Refuse to download before the licence is accepted. Raises RequestError, which shows the licence."""
    if not accepted:
        raise RequestError(f"{TERMS}. Cite: {CITATION} If you accept this, give --accept-licence")


def check_covered(isic_id: str, licence: str) -> None:
    """Refuse an image whose licence is not the one that was accepted. Raises RunError."""
    if licence not in COVERED:
        raise RunError(
            f"{isic_id}: the archive says that its licence is {licence or 'blank'!r}; you have accepted "
            f"{LICENCE} alone, so nothing more is fetched"
        )


def notice(attributions: list[str]) -> str:
    """The text of the file beside the images.

    Args:
        attributions: as the archive gives them.
    """
    lines = [f"{TERMS}.", "", "Cite:", CITATION, "", "Attributions that the archive names:"]
    return "\n".join([*lines, *(f"- {' '.join(one.split())}" for one in sorted(set(attributions)) if one), ""])
