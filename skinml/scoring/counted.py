"""Whose rows count: the model versions by whose rows a run takes an image for scored.

A night with the champion takes the images that no champion, present or past, has scored; so a promotion does
not score the archive again. A backfill, and a run with a named version, take the images that their own version
has not scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skinml.models.promotions import champions

Model = tuple[str, str]
"""model_name and model_version."""

Places = NDArray[np.uint16]
"""The position of a row's model among the counted models, one for each row; 0 is the version that scores."""

PLACE = "place"
"""The column that `of_models` adds."""


@dataclass(frozen=True)
class Counted:
    """The model versions whose rows count.

    Attributes:
        models: the version that scores, then the others.
        champions: whether all champions count, also one that is promoted while the run goes on.
    """

    models: tuple[Model, ...]
    champions: bool = False

    @property
    def own(self) -> Model:
        """The version that scores."""
        return self.models[0]

    def renewed(self, workspace: str) -> Counted:
        """Return the same with those champions that were promoted in the meantime."""
        return every_champion(workspace, self.own) if self.champions else self


def whose_rows_count(workspace: str, own: Model, champion: bool) -> Counted:
    """Return whose rows count for a run.

    Args:
        workspace: normalised URL.
        own: the version that scores.
        champion: whether it scores as the champion, and not as a version that was named, or in a backfill.
    """
    return every_champion(workspace, own) if champion else Counted((own,))


def every_champion(workspace: str, own: Model) -> Counted:
    """Rows of all present and past champions count, and those of the version that scores."""
    return Counted((own, *sorted(champions(workspace) - {own})), champions=True)


def of_models(rows: pa.Table, models: Sequence[Model]) -> pa.Table:
    """Return the rows of these models, with PLACE (uint16) instead of model_name and model_version."""
    names = [rows[column] for column in ("model_name", "model_version")]
    left = rows.drop_columns(["model_name", "model_version"])
    if len(models) == 1:  # half the time of the general case
        ours = pc.and_(*(pc.equal(column, name) for column, name in zip(names, models[0], strict=True)))
        left = left.filter(ours)
        return left.append_column(PLACE, pa.repeat(pa.scalar(0, pa.uint16()), len(left)))
    wanted = pa.array(["\n".join(model) for model in models])
    place = pc.index_in(pc.binary_join_element_wise(*names, "\n"), value_set=wanted)
    return left.append_column(PLACE, place.cast(pa.uint16())).filter(pc.is_valid(place))
