"""The request of `evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skinml.requests.base import MAX_QUARANTINED, SHARED, ClusterRequest, Fraction, Texts


class EvaluateRequest(ClusterRequest):
    """Measure a model on labelled images that it has never seen, or past scores by later diagnoses."""

    # `images` and `metadata` are not SHARED: the variables of `prepare` name the training images, and with
    # --outcomes they would silently add diagnoses.
    model: str | None = Field(
        None, description="model version (default: champion; with --outcomes: every version that has scored)"
    )
    images: Texts = Field((), description="folder or bucket prefix with labelled images; repeat for several")
    metadata: Texts = Field(
        (),
        description="CSV file in HAM10000's or ISIC's form; repeat for several. With --outcomes: the diagnoses "
        "(default: the table samples)",
    )
    outcomes: bool = Field(
        False, description="compare scores of past runs with diagnoses that have arrived since; reads no images"
    )
    map: Texts = Field((), description="count a class as one of the seven, as scc=akiec; repeat for several")
    drop: Texts = Field((), description="leave out a class, such as scc, or no-lesion; repeat for several")
    precision: Annotated[Literal["fp32", "int8"], SHARED] = Field(
        "fp32", description="network to evaluate: int8 is faster, and allowed if it loses little"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the intervals")
    max_quarantined: Annotated[Fraction, SHARED] = Field(
        MAX_QUARANTINED, description="largest fraction of unusable images; with more, the run fails"
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> EvaluateRequest:
        if self.outcomes and self.images:
            raise ValueError("--outcomes reads past scores and no images: leave out --images, or --outcomes")
        if not self.outcomes and not (self.images and self.metadata):
            missing = "--metadata" if self.images else "--images"
            raise ValueError(f"{missing} is needed, or --outcomes")
        return self
