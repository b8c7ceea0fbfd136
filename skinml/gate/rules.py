"""The rules of the gate: budget, margins, resamples. They are fixed before any retraining is judged."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Margin(BaseModel):
    """How much worse one figure of the challenger may be at most.

    Attributes:
        figure: its name among `evaluation.metrics.SCALARS`.
        name: in words.
        margin: above 0, in the figure's unit (a fraction).
        lower_is_better: whether a rise of the figure is a loss.
        behind: whose lesions the figure depends on: melanoma, malignant, benign or all.

    """

    model_config = ConfigDict(frozen=True)

    figure: str
    name: str
    margin: float = Field(gt=0)
    lower_is_better: bool = False
    behind: str = "all"


MARGINS = (
    Margin(
        figure="melanoma_sensitivity_at_80_specificity",
        name="melanoma sensitivity at specificity 0.80",
        margin=0.03,
        behind="melanoma",
    ),
    Margin(figure="malignant_sensitivity", name="malignant sensitivity", margin=0.02, behind="malignant"),
    Margin(figure="malignant_specificity", name="specificity at the threshold", margin=0.03, behind="benign"),
    Margin(figure="ece", name="calibration error (ECE)", margin=0.01, lower_is_better=True),
)
"""A sensitivity or specificity counts what a night would write: the diagnosis of the highest probability."""


class Rules(BaseModel):
    """What `judge_challenger` goes by. docs/change-control.md prints these figures, and a test compares them.

    Attributes:
        budget: chance of one or more false promotions over all looks at a test set, at most.
        looks: how many retrainings may be judged on one test set.
        resamples: of the bootstrap.
        confidence: one-sided, of the bound that is held against a margin.
        margins: of single figures.
        subgroup_margin: of the balanced accuracy of the worst subgroup.
        subgroup_lesions: a subgroup with fewer is not judged.
        subgroup_diagnosis: a diagnosis with fewer lesions in a subgroup does not count in its balanced
            accuracy, because one lesion would move it by a seventh.
        slowest: the challenger's images per second, as a fraction of the champion's, at least.
        largest: its bytes, as a multiple of the champion's, at most.

    """

    model_config = ConfigDict(frozen=True)

    budget: float = Field(0.05, gt=0, lt=1)
    looks: int = Field(20, ge=1)
    resamples: int = Field(20_000, ge=100)
    confidence: float = Field(0.975, gt=0.5, lt=1)
    margins: tuple[Margin, ...] = MARGINS
    subgroup_margin: float = Field(0.05, gt=0)
    subgroup_lesions: int = Field(30, ge=2)
    subgroup_diagnosis: int = Field(5, ge=1)
    slowest: float = Field(0.5, gt=0, le=1)
    largest: float = Field(2.0, ge=1)

    @property
    def level(self) -> float:
        """The chance of a false promotion at one look, at most: the budget in equal parts (Bonferroni)."""
        return self.budget / self.looks
