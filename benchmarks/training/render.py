"""The part of docs/benchmarks.md about training, from recorded figures."""

from __future__ import annotations

from statistics import median

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target
from benchmarks.harness.markdown import machine, number, paragraph, promises, table, trial_warning

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
    return median(bare / ours for ours, bare in zip(row["ours"], row["bare"], strict=True))


def section(found: Result) -> str:
    """What was promised, and a table for each section."""
    return "\n\n".join(
        [
            "## Training: beside Keras alone",
            *trial_warning(found),
            paragraph(INTRODUCTION),
            promises(found, _targets(found)),
            _speed(found["speed"]["figures"]["rows"]),
            _augmentation(found["augmentation"]["figures"]),
            paragraph(_thesis(found["thesis"]["figures"])),
            machine(found),
        ]
    )


def _targets(found: Result) -> list[Target]:
    memory, rates = found["memory"]["figures"], found["augmentation"]["figures"]["images_per_second"]
    thesis = found["thesis"]["figures"]
    most = max(memory["trainer"], memory["worker"])
    targets = [
        Target(
            f"{row['network']}, batch {row['batch']}, beside Keras alone",
            f"at least {LEAST_RATIO}",
            f"{ratio(row):.2f}",
            ratio(row) >= LEAST_RATIO,
        )
        for row in found["speed"]["figures"]["rows"]
    ]
    targets += [
        Target(
            f"peak memory, {number(memory['images'])} samples of 64 px ({memory['size_bytes'] / 1e9:.1f} GB)",
            f"at most {MOST_MEMORY / 1e9} GB",
            f"{most / 1e9:.2f} GB",
            most <= MOST_MEMORY,
        ),
        Target(
            "augmentation at 128 px on one core",
            f"at least {LEAST_AUGMENTED:,} images/s",
            f"{number(rates['all'])} images/s",
            rates["all"] >= LEAST_AUGMENTED,
        ),
    ]
    if thesis["device"] == "gpu":
        seconds = thesis["seconds"]
        targets.append(
            Target(
                "the thesis's 80 epochs on a GPU",
                f"at most {MOST_SECONDS} s",
                f"{seconds:.1f} s",
                seconds <= MOST_SECONDS,
            )
        )
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
    what = f"{figures['epochs']} epochs of the thesis ({images} images, batch 16, with validation)"
    took = f"{what} took {figures['seconds']:.1f} s on {figures['backend']}, {figures['device']}."
    return (
        took
        if figures["device"] == "gpu"
        else f"{took} The time of all 80 is promised on a GPU, and none was there."
    )
