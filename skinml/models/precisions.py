"""The precisions fp32 and int8: the measurements of each, and the rule for int8 to be allowed to score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from skinml.labels import DIAGNOSES
from skinml.models.calibrated import Calibration, OperatingPoint
from skinml.models.names import BundleFile
from skinml.words import several

Precision = Literal["fp32", "int8"]

LARGEST_DROP = 0.005
"""How far the balanced accuracy of int8 may lie below that of fp32 on the same images, for it to score."""

FEWEST_LESIONS = 600
"""Test lesions below which a drop of LARGEST_DROP may leave no trace: if int8 gets that fraction of lesions
wrong that fp32 gets right, n lesions hold none of them with a chance of (1 - 0.005)^n, which is 5 % at 598 (the
rule of three: Hanley & Lippman-Hand, JAMA 249:1743, 1983). A bootstrap cannot know: without a lesion that
differs, its interval is a point. That is for a drop that is spread over the diagnoses; no such number excludes
one in a rare diagnosis alone, so the lesions of each are recorded and the fewest of them are said."""

FEWEST_OF_A_CLASS = 10
"""Test lesions of each diagnosis below which resampling misjudges the spread: of n lesions it comes out too
small by sqrt(1 - 1/n), 5 % at 10 and 29 % at 2 (Hesterberg, The American Statistician 69:371, 2015). HAM10000
has 12 of vasc, its rarest diagnosis, in its test split."""

Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
Difference = Annotated[float, Field(ge=-1, le=1, strict=True)]
Count = Annotated[StrictInt, Field(ge=0)]


class Network(BaseModel):
    """A bundle's network in one precision, as it was measured on the test images when it was trained.

    Attributes:
        file: its name in the bundle; None where it could not be made.
        images: how many test images it was measured on.
        balanced_accuracy, macro_auc: as `training.metrics.measure` defines them.
        agreement: fraction of the images whose predicted class is that of fp32; None for fp32 itself.
        largest_difference: of any probability from fp32's; None for fp32 itself.
        difference: of its balanced accuracy from fp32's; below 0 it is worse. None for fp32 itself.
        interval: 95 % interval of that difference (`evaluation.intervals.paired_lesion_bootstrap`); None for
            fp32, and in bundles from before it was measured.
        lesions: test lesions of each diagnosis; None likewise.
        allowed: whether it may score.
        failure: why it could not be made, in one line.
        calibration: the temperature in it; None in bundles from before there was one.
        operating_point: the threshold for its p_malignant; None likewise.

    """

    model_config = ConfigDict(frozen=True)

    file: BundleFile | None = None
    images: Count = 0
    balanced_accuracy: Fraction | None = None
    macro_auc: Fraction | None = None
    agreement: Fraction | None = None
    largest_difference: Annotated[float, Field(ge=0, le=1.0001, strict=True)] | None = None  # float32 rounds
    difference: Difference | None = None
    interval: tuple[Difference, Difference] | None = None
    lesions: dict[str, Count] | None = None
    allowed: StrictBool = False
    failure: str | None = None
    calibration: Calibration | None = None
    operating_point: OperatingPoint | None = None


def as_tables(networks: Mapping[Precision, Network]) -> dict[str, dict[str, dict[str, Any]]]:
    """What is known of each network as three tables with a row for each precision, as plain data.

    Returns:
        precisions, calibration and operating_point; without the last two if no network has them.

    """
    apart = ("calibration", "operating_point")
    tables: dict[str, dict[str, dict[str, Any]]] = {"precisions": {}}
    for precision, network in networks.items():
        tables["precisions"][precision] = network.model_dump(mode="json", exclude={*apart, "lesions"})
        for name in apart:
            found = getattr(network, name)
            if found is not None:
                tables.setdefault(name, {})[precision] = found.model_dump(mode="json")
    return tables


def may_score(int8: Network) -> bool:
    """Whether the test lesions show that int8 loses no more than LARGEST_DROP against fp32.

    A non-inferiority test: the whole interval lies above the margin. Not enough lesions show nothing.
    """
    return int8.interval is not None and not _needed(int8) and int8.interval[0] > -LARGEST_DROP


def explain(int8: Network) -> str:
    """What the test lesions show of int8 against fp32, in words. Only where its interval was measured."""
    low, high = int8.interval or (-1.0, 1.0)
    total = sum((int8.lesions or {}).values())
    measured = (
        f"balanced accuracy {int8.difference or 0:+.4f} against fp32, 95 % interval {low:+.4f} to {high:+.4f}"
    )
    of = f"{several(total, 'test lesion')} in {several(int8.images, 'image')}"
    if may_score(int8):
        return f"it loses no more than {LARGEST_DROP} ({measured}, {of})"
    if high < -LARGEST_DROP and not _needed(int8):
        return f"it loses more than {LARGEST_DROP} ({measured}, {of})"
    rarest = min(DIAGNOSES, key=lambda name: _of(int8, name))
    return (
        f"that it loses no more than {LARGEST_DROP} cannot be shown with {total:,} lesions"
        f" ({_of(int8, rarest)} of {rarest}){_needed(int8)} ({measured}, {int8.images:,} images)"
    )


def _needed(int8: Network) -> str:
    """How many lesions it takes, if there are too few to show anything."""
    lesions = int8.lesions or {}
    few = (
        sum(lesions.values()) < FEWEST_LESIONS or min(_of(int8, name) for name in DIAGNOSES) < FEWEST_OF_A_CLASS
    )
    return f": {FEWEST_LESIONS} are needed, {FEWEST_OF_A_CLASS} of each diagnosis" if few else ""


def _of(int8: Network, name: str) -> int:
    return (int8.lesions or {}).get(name, 0)
