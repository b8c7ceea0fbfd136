"""Draw the counts of the samples: the thesis's four panels, lesions, missing values, sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skinml.exploration.chart import Chart, bars, panel, whole_numbers
from skinml.exploration.summary import AGE_BIN, BLANK, SPLITS, Ages, Crossed, Summary, listed, share
from skinml.labels import DIAGNOSES, NAMES
from skinml.report.canvas import BLUE, COLOURS, GREY, ORANGE, SKY, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEX, SITE = BLUE, "#009E73"


def draw_panels(summary: Summary) -> Chart:
    """The four panels of the thesis: diagnosis, sex, body site, and age with a fitted normal distribution."""
    figure = blank(11, 8.6)
    total = summary.images
    (diagnosis, sex), (site, age) = figure.subplots(2, 2)
    counts = summary.diagnoses["images"]
    panel(diagnosis, "Diagnosis", f"n = {total:,} images of {summary.lesions:,} lesions")
    bars(diagnosis, DIAGNOSES, counts.tolist(), [COLOURS[name] for name in DIAGNOSES])
    diagnosis.set_xlabel("Images")
    panel(sex, "Sex", f"n = {total:,} images")
    bars(sex, [str(name) for name in summary.sexes.index], summary.sexes.tolist(), SEX)
    sex.set_xlabel("Images")
    panel(site, "Body site", f"n = {total:,} images")
    bars(site, [str(name) for name in summary.sites.index], summary.sites.tolist(), SITE)
    site.set_xlabel("Images")
    _draw_ages(age, summary.ages)
    head = ("diagnosis", "name", "images", "lesions", *SPLITS)
    rows = [
        (
            name,
            NAMES[name],
            *(f"{int(summary.diagnoses[column][name]):,}" for column in ("images", "lesions", *SPLITS)),
        )
        for name in DIAGNOSES
    ]
    absent = [name for name in DIAGNOSES if not counts[name]]
    said = (
        f"Four bar charts of {total:,} images. Diagnosis: {listed(counts, total)}. "
        f"Sex: {listed(summary.sexes, total)}. Body site: {listed(summary.sites, total)}. "
        f"Age: {_ages_said(summary.ages)}."
    )
    note = (
        f"No image is labelled {', '.join(absent)}: a model of these samples cannot know them."
        if absent
        else ""
    )
    return Chart("panels", "Diagnosis, sex, body site and age", said, figure, head, rows, note)


def _draw_ages(axes: Axes, ages: Ages) -> None:
    panel(axes, "Age", f"n = {ages.known:,} images with an age; {ages.blank:,} without")
    axes.set_xlabel(f"Age (years, bins of {AGE_BIN})")
    axes.set_ylabel("Images")
    if not ages.known:
        axes.text(0.5, 0.5, "no image has an age", transform=axes.transAxes, ha="center", color=GREY)
        return
    middles = np.arange(len(ages.counts)) * AGE_BIN
    low, high = -AGE_BIN / 2, (len(ages.counts) - 0.5) * AGE_BIN
    axes.bar(middles, ages.counts, width=AGE_BIN, color=SKY, edgecolor="black", linewidth=0.4)
    if ages.mean is not None and ages.deviation:
        years = np.linspace(low, high, 400)
        density = np.exp(-0.5 * ((years - ages.mean) / ages.deviation) ** 2) / (
            ages.deviation * np.sqrt(2 * np.pi)
        )
        label = f"normal distribution: mean {ages.mean:.1f}, standard deviation {ages.deviation:.1f} years"
        axes.plot(years, density * ages.known * AGE_BIN, color=ORANGE, linewidth=2, label=label)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=8)  # hides nothing
    axes.set_xlim(low, high)
    whole_numbers(axes, "y")
    axes.grid(axis="y", alpha=0.3)


def _ages_said(ages: Ages) -> str:
    if not ages.known:
        return f"no image has one ({ages.blank:,} are blank)"
    fit = (
        f"fitted normal distribution: mean {ages.mean:.1f}, standard deviation {ages.deviation:.1f} years"
        if ages.mean is not None
        else "all are equal, so no normal distribution is fitted"
    )
    return f"{ages.known:,} known, {ages.blank:,} blank; {fit}"


def draw_lesions(summary: Summary) -> Chart:
    """How many images the lesions have."""
    figure = blank(7.2, 4)
    axes = figure.add_subplot()
    lesions = summary.images_per_lesion
    several = int(lesions.iloc[1:].sum())
    panel(axes, "Images per lesion", f"n = {summary.lesions:,} lesions, {summary.images:,} images")
    most = 12  # bars; lesions with more images are added up
    names = [str(number) for number in lesions.index[: most - 1]]
    values = lesions.iloc[: most - 1].tolist()
    if len(lesions) >= most:
        names, values = [*names, f"{most} or more"], [*values, int(lesions.iloc[most - 1 :].sum())]
    axes.bar(names, values, color=BLUE, edgecolor="black", linewidth=0.4)
    for place, value in enumerate(values):
        axes.text(place, value, f"{value:,}", ha="center", va="bottom", fontsize=8)
    axes.set_ylim(0, 1.1 * max(values))
    axes.set_xlabel("Images of the lesion")
    axes.set_ylabel("Lesions")
    whole_numbers(axes, "y")
    axes.grid(axis="y", alpha=0.3)
    said = (
        f"{several:,} of {summary.lesions:,} lesions ({share(several, summary.lesions)}) have several images, "
        f"at most {lesions.index.max()}."
    )
    rows = [(name, f"{value:,}") for name, value in zip(names, values, strict=True)]
    note = (
        "A split by image would put images of one lesion on both sides. skinml splits by lesion."
        if several
        else "Every lesion has one image. Check that lesion_id is that of the lesion, not of the image."
    )
    return Chart("lesions", "Images per lesion", said, figure, ("images", "lesions"), rows, note)


def draw_missing(summary: Summary) -> Chart:
    """How many values are missing in each column of the metadata."""
    figure = blank(7.2, 3.6)
    axes = figure.add_subplot()
    missing, total = summary.missing, summary.images
    panel(axes, "Missing values", f"n = {total:,} images")
    places = np.arange(len(missing))
    axes.barh(
        places, 100 * missing[BLANK] / total, color=ORANGE, edgecolor="black", linewidth=0.4, label="blank"
    )
    left = 100 * missing[BLANK] / total
    axes.barh(
        places, 100 * missing["unknown"] / total, left=left, color=SKY, edgecolor="black", linewidth=0.4,
        label='"unknown"', hatch="//",
    )  # fmt: skip
    sums = missing.sum(axis=1)
    for place, count in enumerate(sums):
        axes.text(
            100 * count / total, place, f" {count:,} ({share(int(count), total)})", va="center", fontsize=8
        )
    axes.set_yticks(places, missing.index.tolist())
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, min(118.0, 130 * float(sums.max()) / total)))
    axes.set_xlabel("Share of the images (%)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False, fontsize=8)
    said = "; ".join(
        f"{name}: {row[BLANK]:,} blank, {row['unknown']:,} unknown ({share(int(row.sum()), total)})"
        for name, row in missing.iterrows()
    )
    rows = [(str(name), f"{row[BLANK]:,}", f"{row['unknown']:,}") for name, row in missing.iterrows()]
    return Chart("missing", "Missing values", f"{said}.", figure, ("column", "blank", '"unknown"'), rows)


def draw_sources(summary: Summary) -> Chart:
    """Whether the source of an image, or how its label was confirmed, gives the diagnosis away."""
    tables = (summary.sources, summary.confirmations)
    heights = [len(one.counts) + 2 for one in tables]
    figure = blank(9.4, 1.9 + 0.34 * sum(heights))
    both = figure.subplots(2, 1, height_ratios=heights)
    titles = ("Source against diagnosis", "Confirmation of the label (dx_type) against diagnosis")
    for axes, one, title in zip(both, tables, titles, strict=True):
        _draw_crossed(axes, one, title)
    said = " ".join(_crossed_said(one) for one in tables)
    rows = [
        (one.name, str(value), *(f"{count:,}" for count in counts))
        for one in tables
        for value, counts in zip(one.counts.index, one.counts.to_numpy().tolist(), strict=True)
    ]
    note = (
        "If the source gives the diagnosis away, a model can learn the camera in place of the lesion. Compare "
        "its metrics by source (docs/metrics.md)."
    )
    return Chart(
        "sources", "Source against diagnosis", said, figure, ("column", "value", *DIAGNOSES), rows, note
    )


def _draw_crossed(axes: Axes, one: Crossed, title: str) -> None:
    counts = one.counts.to_numpy()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    panel(axes, title, f"images; colour: share of the row; {_association(one)}")
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        ink = "black" if shares[row, column] > 0.5 else "white"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(DIAGNOSES)), DIAGNOSES)
    axes.set_yticks(range(len(one.counts)), [str(name)[:48] for name in one.counts.index], fontsize=8)
    axes.set_xlabel("Diagnosis")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _association(one: Crossed) -> str:
    if one.association is None:
        return "Cramér's V is not defined: one value alone"
    return f"Cramér's V = {one.association:.2f} (0: independent, 1: one gives the other away)"


def _crossed_said(one: Crossed) -> str:
    most = [
        f"{value}: {listed(counts[counts > 0].sort_values(ascending=False), int(counts.sum()), 3)}"
        for value, counts in list(one.counts.iterrows())[:6]
    ]
    return f"{one.name} against diagnosis, {_association(one)}. {'. '.join(most)}."
