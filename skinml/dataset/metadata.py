"""The labels of images: one table or several joined, their repetitions named, lesions and classes checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import pandas as pd

from skinml.dataset.classes import NO_LESION, Choices, read_choices, refuse_other_classes
from skinml.dataset.id_spelling import Respelled, respell
from skinml.dataset.metadata_table import Table, each_text, parse_table, read_table
from skinml.errors import RequestError
from skinml.tables.matching import is_in, texts

LABELS = ("lesion_id", "dx", "dx_type", "age", "sex", "localization")


@dataclass(frozen=True)
class Metadata:
    """Labels of images.

    Attributes:
        rows: one row per image_id: image_id, lesion_id, dx, dx_type, age (years or NaN), sex, localization,
            metadata_row (position in the source).
        repeated: image_ids that stand several times with the same values; one row of each is kept.
        conflicting: image_ids that stand several times with different values; none is kept.
        dropped: image_ids that `--drop` leaves out, and the class of each.
        notes: how the tables were read, for people.
    """

    rows: pd.DataFrame
    repeated: tuple[str, ...]
    conflicting: tuple[str, ...]
    dropped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def image_ids(self) -> pd.Series[str]:
        """Every image_id of the tables, each once."""
        others = texts([*self.conflicting, *self.dropped])
        return pd.concat([self.rows["image_id"], others], ignore_index=True)

    def respelled(self, found: Respelled) -> Metadata:
        """The same with image_ids written as the files are."""
        if not found.names:
            return self
        return replace(
            self,
            rows=self.rows.assign(image_id=texts(found.apply(self.rows["image_id"]))),
            conflicting=tuple(found.apply(self.conflicting)),
            dropped=dict(zip(found.apply(self.dropped), self.dropped.values(), strict=True)),
        )


def read_metadata(urls: Sequence[str], mapped: Sequence[str] = (), dropped: Sequence[str] = ()) -> Metadata:
    """Read, check and join tables of metadata.

    Args:
        urls: the files. One has the diagnoses; others may add lesions, ages and so on by image_id.
        mapped: classes that are taken for one of the seven, as scc=akiec.
        dropped: classes whose images are left out.

    Raises:
        RequestError: see `parse_table`; or a column is missing, a lesion_id is blank, a class is none of the
            seven. The line names the first offender.
    """
    choices = read_choices(mapped, dropped)
    return _checked([read_table(url) for url in urls], choices)


def parse_metadata(data: bytes, name: str, mapped: Sequence[str] = (), dropped: Sequence[str] = ()) -> Metadata:
    """`read_metadata` of the bytes of one file, which errors call `name`."""
    choices = read_choices(mapped, dropped)
    return _checked([parse_table(data, name)], choices)


def _checked(tables: Sequence[Table], choices: Choices) -> Metadata:
    _refuse_missing_columns(tables)
    notes = [table.note for table in tables]
    group = "lesion_id"
    if not any(table.form.has("lesion_id") for table in tables):
        group = "patient_id"  # coarser than lesions, so no lesion is ever in two splits
        notes.append("no table has a lesion_id: all images of a patient_id count as one lesion, in one split")
    # Those with diagnoses first: they say which images there are.
    ordered = sorted(tables, key=lambda table: not table.form.has("dx"))
    parts = [_part(table, number, group, choices) for number, table in enumerate(ordered)]
    joined = reduce(_join, parts)
    notes += joined.notes
    notes += _unused(choices, tables)
    rows = joined.rows[~is_in(joined.rows["image_id"], texts(sorted(joined.conflicting)))]
    files = [table.name for table in ordered]
    refuse_other_classes(rows, files, choices)
    left_out = rows["dx"].isin(list(choices.dropped))
    without = ~left_out & rows["lesion_id"].isna()
    if not choices.without_lesion:
        _refuse_without_lesion(rows[without], files, group)
    dropped = dict(zip(rows.loc[left_out, "image_id"], rows.loc[left_out, "dx"], strict=True))
    dropped |= dict.fromkeys(rows.loc[without, "image_id"], NO_LESION)
    kept = rows.loc[~left_out & ~without, ["image_id", *LABELS, "metadata_row"]].reset_index(drop=True)
    repeated, conflicting = tuple(sorted(joined.repeated)), tuple(sorted(joined.conflicting))
    return Metadata(kept, repeated, conflicting, dropped, tuple(notes))


def _unused(choices: Choices, tables: Sequence[Table]) -> list[str]:
    """What `--map` and `--drop` name and no table has: perhaps a slip of the pen, so it is said."""
    there = {name for table in tables for name in table.rows["dx"].dropna().unique()}
    named = {"--map": choices.diagnoses.keys(), "--drop": choices.dropped}
    return [
        f"{flag} {name}: no row has this class"
        for flag, names in named.items()
        for name in sorted(names)
        if name not in there
    ]


def _refuse_missing_columns(tables: Sequence[Table]) -> None:
    """Refuse tables that together lack diagnoses or lesions."""
    names = ", ".join(table.name for table in tables)
    have = "; ".join(str(table.form) for table in tables)
    if not any(table.form.has("dx") for table in tables):
        raise RequestError(
            f"--metadata {names}: has no column dx, nor diagnosis, nor one column a class, as ISIC's MEL, NV "
            f"and BCC (it has {have})"
        )
    if not any(table.form.has("lesion_id") or table.form.has("patient_id") for table in tables):
        raise RequestError(
            f"--metadata {names}: has no column lesion_id (it has {have}): lesions decide the split, so give "
            "the file that has them with another --metadata (ISIC 2018: its LesionGroupings file; ISIC 2019: "
            "its Metadata file)"
        )


def _refuse_without_lesion(rows: pd.DataFrame, files: Sequence[str], group: str) -> None:
    if rows.empty:
        return
    first = rows.iloc[0]
    raise RequestError(
        f"--metadata {files[first['table']]}: line {first['line']} ({first['image_id']}): {group} is blank, in "
        f"{len(rows)} rows in all: lesions decide the split, so give a file that has them with another "
        f"--metadata, or leave these images out with --drop {NO_LESION}"
    )


# --- Joining --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """Tables joined so far: image_id (each once), LABELS, and where the row with the diagnosis stands."""

    rows: pd.DataFrame
    labelled: bool
    repeated: frozenset[str]
    conflicting: frozenset[str]
    notes: tuple[str, ...] = ()
    name: str = ""


def _part(table: Table, number: int, group: str, choices: Choices) -> _Part:
    """One table, with one row an image."""
    rows = table.rows.assign(lesion_id=table.rows[group], table=number, metadata_row=range(len(table.rows)))
    rows = rows.drop(columns="patient_id")
    labelled = table.form.has("dx")
    if labelled:
        rows["dx"] = each_text(rows["dx"], choices.apply)
    else:
        rows["dx"] = pd.Series([None] * len(rows), dtype=object)
    several = rows[rows["image_id"].duplicated(keep=False)]  # few, so only these are compared by all columns
    distinct = several.drop_duplicates(["image_id", *LABELS])
    torn = set(distinct.loc[distinct["image_id"].duplicated(keep=False), "image_id"])
    one_each = rows.drop(index=several.index[several["image_id"].duplicated()])
    return _Part(one_each, labelled, frozenset(several["image_id"]) - torn, frozenset(torn), name=table.name)


def _join(first: _Part, second: _Part) -> _Part:
    """Add what another table says of the images; and its own images, if it has diagnoses."""
    found = respell(second.rows["image_id"], first.rows["image_id"])
    other = second.rows.set_index(pd.Index(found.apply(second.rows["image_id"]), name="image_id", dtype="str"))
    other = other.drop(columns="image_id")
    there = other.reindex(first.rows["image_id"]).set_axis(first.rows.index)
    joined = first.rows.copy()
    conflicting = first.conflicting | set(found.apply(second.conflicting))
    notes = [*first.notes, *second.notes]
    for column in LABELS:
        mine, theirs = first.rows[column], there[column]
        differs = mine.notna() & theirs.notna() & (mine != theirs)
        if column == "dx":
            conflicting |= set(first.rows.loc[differs, "image_id"])
        elif differs.any():
            count = int(differs.sum())
            notes.append(f"{column} differs for {count} images in {second.name}: {first.name}'s is used")
        joined[column] = mine.where(mine.notna(), theirs)
    if found.ways:
        said = ", ".join(f"{way} {count}" for way, count in found.ways.items())
        notes.append(f"image_ids of {second.name} are written otherwise than in {first.name} ({said})")
    if found.unclear:
        count = len(found.unclear)
        notes.append(f"{count} image_ids of {first.name} could be several of {second.name}: not joined")
    if second.labelled:
        new = other[~other.index.isin(first.rows["image_id"])].reset_index()
        new["metadata_row"] += first.rows["metadata_row"].max() + 1
        joined = pd.concat([joined, new[joined.columns]], ignore_index=True)
    repeated = first.repeated | second.repeated
    return _Part(joined, True, repeated - conflicting, frozenset(conflicting), tuple(notes), first.name)
