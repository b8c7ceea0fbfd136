"""Handle classes that are not one of the seven: `--map`, `--drop`, or an error."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from skinml.dataset.diagnosis_names import class_of
from skinml.errors import RequestError
from skinml.labels import DIAGNOSES

NO_LESION = "no-lesion"
"""The name by which `--drop` selects rows without a lesion_id."""

_SHOWN = 8


@dataclass(frozen=True)
class Choices:
    """What to do with classes that are not one of the seven: the diagnosis of each, or leave it out."""

    diagnoses: dict[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    without_lesion: bool = False

    def apply(self, name: str) -> str:
        """Return the class to use for this one."""
        return self.diagnoses.get(name, name)


def read_choices(mapped: Sequence[str], dropped: Sequence[str]) -> Choices:
    """Parse the values of `--map` (scc=akiec) and `--drop` (scc, no-lesion).

    Raises:
        RequestError: a value is not valid, or two contradict each other.
    """
    diagnoses: dict[str, str] = {}
    for choice in mapped:
        name, _, dx = (part.strip() for part in choice.rpartition("="))
        if not name or dx.casefold() not in DIAGNOSES:
            raise RequestError(f"--map {choice!r}: write CLASS=DIAGNOSIS with one of {', '.join(DIAGNOSES)}")
        known = class_of(name)
        if known in DIAGNOSES:
            raise RequestError(f"--map {choice!r}: {name} is {known} already, one of the seven")
        if diagnoses.setdefault(known, dx.casefold()) != dx.casefold():
            raise RequestError(f"--map {choice!r}: {name} is mapped to {diagnoses[known]} as well")
    named = {name for name in dropped if name.strip().casefold() != NO_LESION}
    classes = frozenset(class_of(name) for name in named)
    both = sorted(classes & diagnoses.keys())
    if both:
        raise RequestError(f"--drop {both[0]!r}: it is mapped with --map as well")
    return Choices(diagnoses, classes, len(named) < len(set(dropped)))


def refuse_other_classes(rows: pd.DataFrame, files: Sequence[str], choices: Choices) -> None:
    """Refuse rows whose class is neither one of the seven nor dropped.

    Args:
        rows: columns image_id, dx (its class), line and table (its number among the files).
        files: the names of the tables in messages.
        choices: the values of `--map` and `--drop`.

    Raises:
        RequestError: names the classes, how many rows each has, the first such row, and the flags to give.
    """
    others = rows[~rows["dx"].isin([*DIAGNOSES, *choices.dropped])]
    if others.empty:
        return
    first = others.iloc[0]
    counts = others["dx"].value_counts()
    named = [f"{name} {count}" for name, count in counts.head(_SHOWN).items()]
    drops = [f"--drop {shlex.quote(str(name))}" for name in counts.index[:_SHOWN]]
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    raise RequestError(
        f"--metadata {files[first['table']]}: line {first['line']} ({first['image_id']}): {first['dx']!r} is "
        f"none of {', '.join(DIAGNOSES)}; such rows in all: {', '.join(named)}{more}. Leave their images out "
        f"with {' '.join(drops)}, or map a class, as --map {shlex.quote(str(counts.index[0]))}=akiec"
    )
