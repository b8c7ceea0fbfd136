"""An image_id of the metadata and a file's name that mean the same and are not written alike.

Tables hold `ISIC_0000001.jpg`, `isic_0000001` or `part_1/ISIC_0000001` for the file ISIC_0000001.jpg, and ISIC
2019 has files called ISIC_0000001_downsampled.jpg. What is written alike goes together first; the rest only if
one id and one file are left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from skinml.storage.listed import IMAGE_SUFFIXES
from skinml.tables.matching import is_in

_SUFFIX = re.compile("(" + "|".join(re.escape(suffix) for suffix in IMAGE_SUFFIXES) + ")$", re.IGNORECASE)
_DOWNSAMPLED = re.compile("_downsampled$", re.IGNORECASE)
_FOLDERS = re.compile(r"^.*[/\\]", re.DOTALL)


@dataclass(frozen=True)
class Respelled:
    """Ids that are written in another way than the names they belong to.

    Attributes:
        names: the name of each such id.
        ways: how many ids differ in which way.
        unclear: names that could belong to several ids, or share one with another name, and what is wrong.
    """

    names: dict[str, str] = field(default_factory=dict)
    ways: Counter[str] = field(default_factory=Counter)
    unclear: dict[str, str] = field(default_factory=dict)

    def apply(self, ids: Iterable[str]) -> list[str]:
        """Ids as the names are written."""
        return [self.names.get(one, one) for one in ids]


def respell(ids: pd.Series[str], names: pd.Series[str]) -> Respelled:
    """Find the names of ids that no name equals.

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
            wrong = f"image_id {_some(rows)} of the metadata may mean any of the files {_some(group)}"
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
    """In which ways the two differ."""
    ways = []
    for way, pattern in (("folder", _FOLDERS), ("suffix", _SUFFIX), ("_downsampled", _DOWNSAMPLED)):
        shorter, other = pattern.sub("", image_id), pattern.sub("", name)
        if (shorter == image_id) != (other == name):
            ways.append(way)
        image_id, name = shorter, other
    return ways if image_id == name else [*ways, "case"]
