"""The contestants, the targets, and the flags that name images and workspace."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.inputs import METADATA

SIZE = 128
"""Edge of the pixels that most contestants read, px."""


@dataclass(frozen=True)
class Contestant:
    """One way to train a model.

    Attributes:
        name: for flags and for people.
        model: an architecture of the zoo.
        seeds: one version each.
        epochs: None: as the recipe says.
        recipe: None: the model's default one.
        views: of each image when scoring.
        purpose: what it is for, for README's table.
        images: of the small and the large run that its scoring speed is the slope of: multiples of 128, so that
            two cores get equally many shards of 64.

    """

    name: str
    model: str
    seeds: tuple[int, ...]
    purpose: str
    images: tuple[int, int]
    epochs: int | None = None
    recipe: str | None = None
    views: int = 1


CONTESTANTS = {
    one.name: one
    for one in (
        Contestant(
            name="thesis-cnn",
            model="thesis-cnn",
            seeds=(1, 2, 3),
            epochs=20,
            purpose="the thesis's network: for comparison, and to try skinml out in minutes",
            images=(512, 4_096),
        ),
        Contestant(
            name="linear-probe",
            model="linear-probe",
            seeds=(1,),
            purpose="frozen features and a linear head: minutes on a CPU, and what every other model must beat",
            images=(256, 1_280),
        ),
        Contestant(
            name="efficientnet-lite0",
            model="efficientnet-lite0",
            seeds=(1, 2, 3),
            recipe="fine-tuning",
            views=8,
            purpose="fine-tuned: the most accurate here; use it if nights have the time",
            images=(128, 640),
        ),
    )
}

FLOOR, CHAMPION = "linear-probe", "efficientnet-lite0"
"""The contestants that targets were set for."""


@dataclass(frozen=True)
class Goal:
    """A target for the mean of a contestant's seeds.

    Attributes:
        contestant, figure: what of whom.
        bound: what it has to reach.
        most: whether it is an upper bound.

    """

    contestant: str
    figure: str
    bound: float
    most: bool = False


GOALS = (
    Goal(CHAMPION, "balanced_accuracy", 0.78),
    Goal(CHAMPION, "macro_auc", 0.95),
    Goal(CHAMPION, "melanoma_sensitivity_at_80_specificity", 0.85),
    Goal(CHAMPION, "ece", 0.03, most=True),
    Goal(FLOOR, "balanced_accuracy", 0.64),
)

HOURS_A_SEED = 2.0
"""How long one seed of the champion may train on two cores."""

SCORED_A_SECOND = 250
"""Images a second that the champion should score on two cores, end to end."""


def chosen(bench: Bench) -> list[Contestant]:
    """The contestants that were asked for; in a trial all with fewer seeds and epochs, as the flags say."""
    names = bench.options.contestant or list(CONTESTANTS)
    return [CONTESTANTS[name] for name in names]


def epochs_of(bench: Bench, one: Contestant) -> int | None:
    """How many epochs to fit: in a trial a fraction, at least one."""
    if bench.scale == 1 or one.model == FLOOR:
        return one.epochs
    return max(1, round((one.epochs or 20) * bench.scale))


def seeds_of(bench: Bench, one: Contestant) -> tuple[int, ...]:
    """The seeds to fit."""
    asked = bench.options.seeds
    return one.seeds[:asked] if asked else one.seeds


def workspace_of(bench: Bench) -> Path:
    """The workspace with the versions."""
    place: Path = bench.options.workspace or bench.cache / "models"
    return place.resolve()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name the images and the workspace, and that cut the work down."""
    parser.add_argument("--images", action="append", help="folder of labelled images; repeat for several")
    parser.add_argument("--metadata", type=Path, default=METADATA, help="their CSV")
    parser.add_argument("--workspace", type=Path, help="with versions to read (default: one in the cache)")
    parser.add_argument(
        "--contestant", action="append", choices=CONTESTANTS, help="one of them; repeat for several"
    )
    parser.add_argument("--seeds", type=int, help="at most so many seeds of each contestant")
