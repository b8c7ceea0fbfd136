"""Match image_ids of the metadata to file names that are spelled differently.

For the file ISIC_0000001.jpg, tables contain `ISIC_0000001.jpg`, `isic_0000001` or `part_1/ISIC_0000001`; ISIC
2019 has files named ISIC_0000001_downsampled.jpg. Equal spellings are matched first; a different spelling is
matched only if exactly one id and one file are left for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from skinml.storage.suffixes import IMAGE_SUFFIXES
from skinml.tables.matching import is_in

_SUFFIX = re.compile("(" + "|".join(re.escape(suffix) for suffix in IMAGE_SUFFIXES) + ")$", re.IGNORECASE)
_DOWNSAMPLED = re.compile("_downsampled$", re.IGNORECASE)
_FOLDERS = re.compile(r"^.*[/\\]", re.DOTALL)


@dataclass(frozen=True)
class Respelled:
    """Ids that are spelled differently from their file names.

    Attributes:
        names: file name (stem) by id.
        ways: number of ids by kind of difference.
        unclear: names that could belong to several ids, or share one with another name, and what is wrong.
    """

    names: dict[str, str] = field(default_factory=dict)
    ways: Counter[str] = field(default_factory=Counter)
    unclear: dict[str, str] = field(default_factory=dict)

    def apply(self, ids: Iterable[str]) -> list[str]:
        """Return the ids in the spelling of their file names."""
        return [self.names.get(one, one) for one in ids]


def respell(ids: pd.Series[str], names: pd.Series[str]) -> Respelled:
    """Find the names of ids that are not equal to any name.

    Args:
        ids: image_ids of a table, each once.
        names: image_ids of the files (or of another table), each once.
    """
    left = names[~is_in(names, ids)]
    alone = ~is_in(ids, names)
    if left.empty:
        return Respelled()
    found = Respelled()
    by_fold = _grouped(left)
    equal, others = (_grouped(ids[mask]) for mask in (~alone, alone))
    for fold, group in by_fold.items():
        rows = others.get(fold, [])
        if fold in equal:
            wrong = f"image_id {equal[fold][0]} is taken by the file of that name"
        elif len(group) == len(rows) == 1:
            found.names[rows[0]] = group[0]
            found.ways.update(_ways(rows[0], group[0]))
            continue
        elif rows:
            wrong = f"image_id {_some(rows)} of the metadata could be any of the files {_some(group)}"
        else:
            continue
        found.unclear.update(dict.fromkeys(group, wrong))
    return found


def _some(names: list[str]) -> str:
    return ", ".join([*sorted(names)[:5], *(["…"] if len(names) > 5 else [])])


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_folded(name), []).append(name)
    return groups


def _folded(name: str) -> str:
    return _DOWNSAMPLED.sub("", _SUFFIX.sub("", _FOLDERS.sub("", name))).casefold()


def _ways(image_id: str, name: str) -> list[str]:
    """Return the kinds of difference between the two."""
    ways = []
    for way, pattern in (("folder", _FOLDERS), ("suffix", _SUFFIX), ("_downsampled", _DOWNSAMPLED)):
        shorter, other = pattern.sub("", image_id), pattern.sub("", name)
        if (shorter == image_id) != (other == name):
            ways.append(way)
        image_id, name = shorter, other
    return ways if image_id == name else [*ways, "case"]
