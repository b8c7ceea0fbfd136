"""The part of docs/benchmarks.md about training, from recorded figures."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target
from benchmarks.harness.markdown import described, number, paragraph, promises, table, trial_warning

LEAST_RATIO = 0.95
"""Of the speed of Keras alone."""
MOST_MEMORY = 1.5e9
LEAST_AUGMENTED = 1000
MOST_SECONDS = 20

INTRODUCTION = """\
`make bench-train` fits made-up images with our trainer and, in turn in the same process, with Keras's own `fit`
on arrays in memory; the ratio is the median over pairs of epochs. Our trainer gathers uint8 pixels batch by
batch. Augmentation is timed on one core in CPU time, all parts of the recipe fine-tuning together and each
alone. Memory is the peak of the process that trains and of its worker, over one epoch of all samples.
"""


def ratio(row: Result) -> float:
    """How fast we are beside Keras alone: above 1 is faster."""
    return float(median(bare / ours for ours, bare in zip(row["ours"], row["bare"], strict=True)))


def section(found: Result) -> str:
    """What was promised, and a table for each section."""
    machines = dict.fromkeys(described(part["machine"]) for part in found.values())
    parts: dict[str, Callable[[Result], str]] = {
        "speed": lambda figures: _speed(figures["rows"]),
        "augmentation": _augmentation,
        "thesis": lambda figures: paragraph(_thesis(figures)),
    }
    return "\n\n".join(
        [
            "## Training: beside Keras alone",
            *trial_warning(found),
            paragraph(INTRODUCTION),
            promises(found, _targets(found)),
            *(render(found[name]["figures"]) for name, render in parts.items() if name in found),
            "### The machine",
            *(paragraph(f"{text} Images are noise.") for text in machines),
        ]
    )


def _targets(found: Result) -> list[Target]:
    """What was promised of the sections that are recorded."""
    figures = {name: part["figures"] for name, part in found.items()}
    targets = [
        Target(
            f"{row['network']}, batch {row['batch']}, beside Keras alone",
            f"at least {LEAST_RATIO}",
            f"{ratio(row):.2f}",
            ratio(row) >= LEAST_RATIO,
        )
        for row in figures.get("speed", {"rows": []})["rows"]
    ]
    if memory := figures.get("memory"):
        most = max(memory["trainer"], memory["worker"])
        what = f"{number(memory['images'])} samples of 64 px ({memory['size_bytes'] / 1e9:.1f} GB)"
        limit = f"at most {MOST_MEMORY / 1e9} GB"
        targets.append(Target(f"peak memory, {what}", limit, f"{most / 1e9:.2f} GB", most <= MOST_MEMORY))
    if augmentation := figures.get("augmentation"):
        rate = augmentation["images_per_second"]["all"]
        least, shown = f"at least {LEAST_AUGMENTED:,} images/s", f"{number(rate)} images/s"
        what = "augmentation at 128 px on one core"
        targets.append(Target(what, least, shown, rate >= LEAST_AUGMENTED))
    thesis = figures.get("thesis", {"device": "cpu"})
    if thesis["device"] == "gpu":
        seconds = thesis["seconds"]
        what, limit = "the thesis's 80 epochs on a GPU", f"at most {MOST_SECONDS} s"
        targets.append(Target(what, limit, f"{seconds:.1f} s", seconds <= MOST_SECONDS))
    return targets


def _speed(rows: list[Result]) -> str:
    head = ("network", "Keras on", "batch", "images", "ours, images/s", "Keras alone, images/s", "ratio")
    return table(
        head,
        [
            (
                row["network"],
                f"{row['backend']}, {row['device']}",
                number(row["batch"]),
                number(row["images"]),
                number(row["images"] / min(row["ours"])),
                number(row["images"] / min(row["bare"])),
                f"{ratio(row):.2f}",
            )
            for row in rows
        ],
    )


def _augmentation(figures: Result) -> str:
    rates = figures["images_per_second"]
    return table(
        (f"augmentation at {figures['size']} px, one core", "images/s"),
        [(name, number(rate)) for name, rate in rates.items()],
    )


def _thesis(figures: Result) -> str:
    images = number(figures["images"])
    what = f"{figures['epochs']} of the epochs of the thesis ({images} images, batch 16, with validation)"
    took = f"{what} took {figures['seconds']:.1f} s on {figures['backend']}, {figures['device']}."
    return (
        took
        if figures["device"] == "gpu"
        else f"{took} The time of all 80 is promised on a GPU, and none was there."
    )
