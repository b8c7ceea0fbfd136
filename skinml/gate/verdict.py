"""What the gate found: the decision, its reason, every criterion, and what a person needs to look at."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from skinml.models.floors import Criterion

NOT_ENOUGH = "not enough evidence of a gain"
"""How the reason begins if nothing is wrong with the challenger, and no gain is shown."""


class ChangedImage(BaseModel):
    """One image of a changed lesion, and the diagnosis that each model gives it."""

    model_config = ConfigDict(frozen=True)

    image_id: str
    champion: str
    challenger: str


class ChangedLesion(BaseModel):
    """A lesion of which one model has more images right than the other."""

    model_config = ConfigDict(frozen=True)

    lesion_id: str
    dx: str
    better: bool
    images: tuple[ChangedImage, ...]


class Disagreement(BaseModel):
    """An image that the two models call differently, the most malignant for either of them first.

    Attributes:
        p_malignant_champion, p_malignant_challenger: akiec, bcc and mel together.

    """

    model_config = ConfigDict(frozen=True)

    image_id: str
    lesion_id: str
    dx: str
    champion: str
    challenger: str
    p_malignant_champion: float
    p_malignant_challenger: float


class Verdict(BaseModel):
    """The gate's decision about one challenger.

    Attributes:
        decision: promote, keep (the champion), or propose: a person decides.
        reason: in one line.
        sentences: what was found, in plain words.
        criteria: the gain, the margins, the bounds and the floors, in this order.
        look: which look at this test set it was, from 1.
        looks_allowed: in the budget.
        level: the chance of a false promotion at this look, at most.
        smallest_gain: the gain in balanced accuracy that so many lesions show in four of five cases, as far as
            these two models disagree.
        images: of the test set.
        lesions: of each diagnosis that there is.
        few: subgroups with too few lesions to be judged, with their numbers.
        mcnemar: `evaluation.comparison.mcnemar`, first champion, second challenger; decides nothing.
        changed: lesions that changed, those that got worse first.
        disagreements: the worklist.

    """

    model_config = ConfigDict(frozen=True)

    decision: Literal["promote", "keep", "propose"]
    reason: str
    sentences: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    look: int
    looks_allowed: int
    level: float
    smallest_gain: float
    images: int
    lesions: dict[str, int]
    few: tuple[str, ...]
    mcnemar: dict[str, Any]
    changed: tuple[ChangedLesion, ...]
    disagreements: tuple[Disagreement, ...]

    def look_in_words(self) -> str:
        """Such as "look 3 of 20"."""
        return f"look {self.look} of {self.looks_allowed}"

    def calm(self) -> bool:
        """Whether the champion is kept only because no gain is shown: nothing is worse, no floor is missed."""
        return self.decision == "keep" and self.reason.startswith(NOT_ENOUGH)

    def evidence(self) -> list[dict[str, Any]]:
        """The criteria as `promotions` keeps them."""
        return [one.model_dump(mode="json") for one in self.criteria]
