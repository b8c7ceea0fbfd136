"""The request of `models`, and the floors that it shares with `train`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skinml.requests.base import POSITIONAL, SHARED, Fraction, Request, Texts

Action = Literal["list", "show", "compare", "promote", "rollback", "history", "verify"]

VERSIONS: dict[str, tuple[int, int]] = {
    "list": (0, 0),
    "show": (1, 1),
    "compare": (2, 2),
    "promote": (1, 1),
    "rollback": (0, 0),
    "history": (0, 0),
    "verify": (0, 1),
}
"""The fewest and the most versions that each action takes."""

WORDS = {(0, 0): "takes no version", (1, 1): "takes one version", (2, 2): "takes two versions"}


class FloorsRequest(Request):
    """What a version must reach to become champion without --force. Better than chance is always asked."""

    floor_balanced_accuracy: Annotated[Fraction | None, SHARED] = Field(
        None, description="lowest balanced accuracy of a champion, by the lower end of its 95 % interval"
    )
    floor_macro_auc: Annotated[Fraction | None, SHARED] = Field(
        None, description="lowest macro AUC of a champion, likewise"
    )
    floor_melanoma_sensitivity: Annotated[Fraction | None, SHARED] = Field(
        None, description="lowest melanoma sensitivity of a champion, likewise"
    )


class ModelsRequest(FloorsRequest):
    """List, show, compare and verify model versions, and choose the champion."""

    action: Annotated[Action, POSITIONAL] = Field("list", description="what to do")
    versions: Annotated[Texts, POSITIONAL] = Field(
        (),
        description="versions, unique starts of them, or champion: one to show or promote, two to compare",
    )
    reason: str | None = Field(
        None, max_length=1000, description="promote, rollback: why, for the table promotions"
    )
    by: str | None = Field(
        None, max_length=200, description="promote, rollback: who decides (default: your user name)"
    )
    force: bool = Field(False, description="promote: also a version below the floors; recorded as forced")

    @model_validator(mode="after")
    def _has_its_versions(self) -> ModelsRequest:
        fewest, most = VERSIONS[self.action]
        if not fewest <= len(self.versions) <= most:
            given = ", ".join(self.versions) or "none"
            raise ValueError(
                f"{self.action} {WORDS.get((fewest, most), 'takes at most one version')}, not {given}"
            )
        return self
