"""Read the labels of images: join one or more tables, find repeated rows, check lesions and classes."""

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
from skinml.words import several

LABELS = ("lesion_id", "dx", "dx_type", "age", "sex", "localization", "source")


@dataclass(frozen=True)
class Metadata:
    """Labels of images.

    Attributes:
        rows: one row per image_id: image_id, lesion_id, dx, dx_type, age (years or NaN), sex, localization,
            source (where it was taken), metadata_row (position in the table).
        repeated: image_ids with several equal rows; one of them is kept.
        conflicting: image_ids with several different rows; none of them is kept.
        dropped: image_ids that `--drop` leaves out, and the class of each.
        notes: how the tables were read, for the log.
        group: what lesion_id holds: lesion_id; patient_id if no table has lesions; image_id if each image is a
            lesion of its own.
    """

    rows: pd.DataFrame
    repeated: tuple[str, ...]
    conflicting: tuple[str, ...]
    dropped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    group: str = "lesion_id"

    def image_ids(self) -> pd.Series[str]:
        """Return every image_id of the tables, each once."""
        others = texts([*self.conflicting, *self.dropped])
        return pd.concat([self.rows["image_id"], others], ignore_index=True)

    def respelled(self, found: Respelled) -> Metadata:
        """Return the same with image_ids in the spelling of the files."""
        if not found.names:
            return self
        return replace(
            self,
            rows=self.rows.assign(image_id=texts(found.apply(self.rows["image_id"]))),
            conflicting=tuple(found.apply(self.conflicting)),
            dropped=dict(zip(found.apply(self.dropped), self.dropped.values(), strict=True)),
        )


def read_metadata(
    urls: Sequence[str], mapped: Sequence[str] = (), dropped: Sequence[str] = (), lesions_needed: bool = True
) -> Metadata:
    """Read, check and join tables of metadata.

    Args:
        urls: the files. One has the diagnoses; others may add lesions, ages and so on by image_id.
        mapped: classes to map to one of the seven, such as scc=akiec.
        dropped: classes whose images are left out.
        lesions_needed: whether every image must have a lesion_id, because the split is by lesion. If not, an
            image without one is a lesion of its own, named by its image_id.

    Raises:
        RequestError: see `parse_table`; or a column is missing, a lesion_id is blank, or a class is not one of
            the seven. The message names the first such row.
    """
    choices = read_choices(mapped, dropped)
    return _checked([read_table(url) for url in urls], choices, lesions_needed)


def parse_metadata(data: bytes, name: str, mapped: Sequence[str] = (), dropped: Sequence[str] = ()) -> Metadata:
    r"""Read metadata from the bytes of one file, as `read_metadata` does; `name` is its name in messages.

    Example:
        >>> table = b"image_id,lesion_id,dx\nISIC_1,HAM_1,nv\nISIC_2,HAM_1,nv\nISIC_3,HAM_2,scc\n"
        >>> metadata = parse_metadata(table, "metadata.csv", dropped=["scc"])
        >>> metadata.rows[["image_id", "lesion_id", "dx"]].to_dict("list")
        {'image_id': ['ISIC_1', 'ISIC_2'], 'lesion_id': ['HAM_1', 'HAM_1'], 'dx': ['nv', 'nv']}
        >>> parse_metadata(b"image_id,dx\nISIC_1,nv\n", "metadata.csv")
        Traceback (most recent call last):
            ...
        skinml.errors.RequestError: --metadata metadata.csv: has no column lesion_id (it has image_id, dx): ...
    """
    choices = read_choices(mapped, dropped)
    return _checked([parse_table(data, name)], choices)


def _checked(tables: Sequence[Table], choices: Choices, lesions_needed: bool = True) -> Metadata:
    _refuse_missing_columns(tables, lesions_needed)
    notes = [table.note for table in tables]
    group = "lesion_id"
    if not any(table.form.has("lesion_id") for table in tables):
        group = "patient_id"  # coarser than lesions, so no lesion is ever in two splits
        if any(table.form.has("patient_id") for table in tables):
            notes.append(
                "no table has a lesion_id: all images of a patient_id count as one lesion, so one split"
            )
    # Those with diagnoses first: they say which images there are.
    ordered = sorted(tables, key=lambda table: not table.form.has("dx"))
    parts = [_part(table, number, group, choices) for number, table in enumerate(ordered)]
    joined = reduce(_join, parts)
    notes += joined.notes
    notes += _unused(choices, tables)
    rows = joined.rows[~is_in(joined.rows["image_id"], texts(sorted(joined.conflicting)))]
    if not lesions_needed:
        rows, group = _each_its_own(rows, group, choices, notes)
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
    return Metadata(kept, repeated, conflicting, dropped, tuple(notes), group)


def _each_its_own(
    rows: pd.DataFrame, group: str, choices: Choices, notes: list[str]
) -> tuple[pd.DataFrame, str]:
    """Make each image without a lesion_id a lesion of its own; return the rows and what the lesion_id holds."""
    alone = rows["lesion_id"].isna()
    if choices.without_lesion or not alone.any():  # they are dropped, or there are none
        return rows, group
    notes.append(f"{several(int(alone.sum()), 'image')} without {group}: each counts as a lesion of its own")
    own = rows.assign(lesion_id=rows["lesion_id"].where(~alone, rows["image_id"]))
    return own, "image_id" if alone.all() else group


def _unused(choices: Choices, tables: Sequence[Table]) -> list[str]:
    """Return notes about classes in `--map` and `--drop` that no table has: they may be typing errors."""
    there = {name for table in tables for name in table.rows["dx"].dropna().unique()}
    named = {"--map": choices.diagnoses.keys(), "--drop": choices.dropped}
    return [
        f"{flag} {name}: no row has this class"
        for flag, names in named.items()
        for name in sorted(names)
        if name not in there
    ]


def _refuse_missing_columns(tables: Sequence[Table], lesions_needed: bool) -> None:
    """Refuse tables that together lack diagnoses, or lesions if they are needed."""
    names = ", ".join(table.name for table in tables)
    have = "; ".join(str(table.form) for table in tables)
    if not any(table.form.has("dx") for table in tables):
        raise RequestError(
            f"--metadata {names}: has no column dx or diagnosis, nor one column per class such as ISIC's MEL, "
            f"NV and BCC (it has {have}); add the file that has them with another --metadata"
        )
    if lesions_needed and not any(
        table.form.has("lesion_id") or table.form.has("patient_id") for table in tables
    ):
        raise RequestError(
            f"--metadata {names}: has no column lesion_id (it has {have}): the split is by lesion, so add the "
            "file that has them with another --metadata (ISIC 2018: its LesionGroupings file; ISIC 2019: "
            "its Metadata file)"
        )


def _refuse_without_lesion(rows: pd.DataFrame, files: Sequence[str], group: str) -> None:
    if rows.empty:
        return
    first = rows.iloc[0]
    raise RequestError(
        f"--metadata {files[first['table']]}: line {first['line']} ({first['image_id']}): {group} is blank, in "
        f"{len(rows)} rows in all: the split is by lesion, so add a file that has them with another "
        f"--metadata, or leave these images out with --drop {NO_LESION}"
    )


# --- Joining --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """The tables joined so far: image_id (each once), LABELS, and where the row with the diagnosis is."""

    rows: pd.DataFrame
    labelled: bool
    repeated: frozenset[str]
    conflicting: frozenset[str]
    notes: tuple[str, ...] = ()
    name: str = ""


def _part(table: Table, number: int, group: str, choices: Choices) -> _Part:
    """Reduce a table to one row per image."""
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
    """Add the columns of another table, and its own images if it has diagnoses."""
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
            notes.append(
                f"{column} differs for {several(count, 'image')} in {second.name}: that of {first.name} is used"
            )
        joined[column] = mine.where(mine.notna(), theirs)
    if found.ways:
        said = ", ".join(f"{way} {count}" for way, count in found.ways.items())
        notes.append(
            f"image_ids are spelled differently in {second.name} than in {first.name} ({said}): matched"
        )
    if found.unclear:
        count = len(found.unclear)
        notes.append(f"{count} image_ids of {first.name} match several of {second.name}: not joined")
    if second.labelled:
        new = other[~other.index.isin(first.rows["image_id"])].reset_index()
        new["metadata_row"] += first.rows["metadata_row"].max() + 1
        joined = pd.concat([joined, new[joined.columns]], ignore_index=True)
    repeated = first.repeated | second.repeated
    return _Part(joined, True, repeated - conflicting, frozenset(conflicting), tuple(notes), first.name)
