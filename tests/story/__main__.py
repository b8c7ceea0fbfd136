"""`make story`: nobody asks for anything; images are scored, a better model takes over, a crash is made up for.

    python -m tests.story [--folder .story] [--out docs]

A real S3 server, `skinml up` with schedules of a minute, made-up images. Writes docs/story.md and screenshots.
Stops with an error if anything is not as told. Needs the extra `dev` and Chromium; about 20 minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from skinml.lab.synth.archive import METADATA, make_archive
from tests.story import pictures
from tests.story.site import Site, site
from tests.story.told import Told

FIRST, FEW, MANY = 425, 30, 4_575
"""Labelled images of the first champion; labelled lesions that come then; labelled images that come later."""

LABELLED = "labelled"
"""The folder of the labelled images, which one call leaves to the next."""

HEAD = """# The story: from `skinml up` to a morning after a power cut

`make story` did this and wrote this page, on made-up images, on one machine with two cores. Nobody asked for
anything, except where a command is shown. Two things differ from the shipped settings: the schedules run every
minute instead of every night, and retrainings need no person (`approve: auto`). No margin of the gate was
lowered.
"""


def main() -> None:
    """Tell the story."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".story"), help="for all that is made")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where story.md is written")
    arguments = parser.parse_args()
    _clear(arguments.folder)
    told = Told()
    with site(arguments.folder.resolve()) as made, pictures.taken(arguments.out / "story") as camera:
        images = made.folder / LABELLED
        if not (images / METADATA).exists():
            make_archive(images, FIRST + MANY, seed=1)
        lesions = _lesions(images / METADATA)
        first_champion(made, told, lesions, images)
        nights(made, told, camera)
        worse_challenger(made, told, lesions, images)
        better_challenger(made, told, camera, lesions, images)
        next_night(made, told)
        rollback(made, told)
        power_loss(made, told, camera)
        made.down()
    told.text(f"All of it took {told.minutes():.0f} minutes.")
    told.write(arguments.out / "story.md", HEAD)


def _clear(folder: Path) -> None:
    """Remove what an earlier call has left, but keep its labelled images: making them takes minutes."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.name != LABELLED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lesions(metadata: Path) -> list[str]:
    """All lesions in an order that has nothing to do with their diagnosis."""
    found = pd.read_csv(metadata)["lesion_id"].drop_duplicates()
    return [str(lesion) for lesion in found.sample(frac=1, random_state=0)]


def _first(lesions: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The lesions of the first champion, of the few labels that come next, and all others."""
    count = len(lesions) * FIRST // (FIRST + MANY)
    return lesions[:count], lesions[count : count + FEW], lesions[count + FEW :]


def first_champion(made: Site, told: Told, lesions: list[str], pictures: Path) -> None:
    """A few labelled lesions, and a first model."""
    told.chapter("A first champion")
    made.drop_labels(_first(lesions)[0], pictures)
    prepared, _ = made.verb("prepare")
    trained, _ = made.verb("train")
    assert trained["decision"] == "first", trained["criteria"]
    told.text(
        f"{prepared['prepared']} labelled images lie in a bucket. `skinml prepare` and `skinml train` make a"
        " first"
        f" model: balanced accuracy {trained['metrics']['balanced_accuracy']:.2f} on"
        f" {trained['metrics']['images']} held-out images. It has no predecessor and is better than chance,"
        " so it"
        " becomes champion."
    )


def nights(made: Site, told: Told, camera: pictures.Camera) -> None:
    """The schedule scores what arrives."""
    told.chapter("Images arrive, rows appear")
    made.drop_images("monday", 60, seed=11)
    told.command("skinml up --deployments every-minute.yaml --gpu-worker", made.up())
    made.wait(lambda: len(made.rows("scores")) == 60, "the first scheduled night")
    told.text("60 images were in the bucket. The first scheduled run scored them.")
    made.drop_images("tuesday", 40, seed=12)
    made.wait(lambda: len(made.rows("scores")) == 100, "the second night")
    scheduled = made.ask("flow_runs", deployments={"name": {"any_": ["score-nightly"]}})
    asked = {run["created_by"]["type"] for run in scheduled if run["state_type"] == "COMPLETED"}
    assert asked <= {"SCHEDULE"}, asked
    assert made.rows("scores")["uri"].is_unique
    told.text("40 more images were put there, and a later run scored these 40. Nobody asked for either run.")
    told.picture(camera.runs(made, "nights.png"), "The runs in the Prefect UI")
    told.command("skinml status", made.printed("status"))


def worse_challenger(made: Site, told: Told, lesions: list[str], pictures: Path) -> None:
    """A challenger that is worse on purpose is refused."""
    told.chapter("A worse challenger is refused")
    made.drop_labels(_first(lesions)[1], pictures)
    before = len(made.runs("prepare"))
    made.wait(lambda: len(made.runs("prepare")) > before + 1, "the labels to be prepared")
    result, _ = made.verb("retrain", "--min-new", 1, "--epochs", 1, "--approve", "auto")
    assert result["decision"] == "kept", result
    assert result["champion"] != result["challenger"]
    told.text(
        f"{FEW} labelled lesions come. That is fewer than the {50} that start a retraining, so nothing"
        " happens by"
        " itself. By hand we ask for a challenger that is bad on purpose: it is trained for one epoch."
    )
    told.command("skinml retrain --min-new 1 --epochs 1 --approve auto", _decision(result))
    told.text(*result.get("sentences", [])[:4])
    assert result["look"] == 2, "the first look was the first champion's"


def better_challenger(
    made: Site, told: Told, camera: pictures.Camera, lesions: list[str], pictures: Path
) -> None:
    """Many labels arrive: the retraining starts by itself, and its challenger is promoted."""
    told.chapter("Labels arrive, a better model takes over")
    champion = _champion(made)
    made.drop_labels(_first(lesions)[2], pictures)

    def decided() -> bool:
        rows = made.rows("promotions")
        return bool((rows["decision"] == "promoted").any())

    made.wait(decided, "the retraining")
    made.wait(lambda: len(made.runs("retrain")) >= 2, "its row")
    row = made.rows("promotions").sort_values("promoted_at").iloc[-1]
    assert row["decision"] == "promoted", row
    assert row["previous_version"] == champion
    [retrained] = made.ask("flow_runs", flow_runs={"state": {"name": {"any_": ["Promoted"]}}})
    told.text(
        f"{len(made.labelled) - FIRST - FEW} more labelled images are put into the bucket. The scheduled"
        " `prepare`"
        " counts their lesions and says so in an event; an automation starts `retrain`, which hands the"
        " training"
        " to the worker of the pool `gpu`, and the gate decides:"
    )
    columns = ["model_version", "decision", "decided_by", "reason"]
    decisions = made.rows("promotions").sort_values("promoted_at")[columns]
    told.command("skinml models history (four of its columns)", aligned(decisions))
    told.command("skinml models show champion --json (its criteria)", _criteria(json.loads(row["evidence"])))
    told.picture(camera.run(made, retrained, "retrain.png"), "The retraining in the Prefect UI")
    told.picture(camera.report(made, row["run_id"], "gate.png"), "The page of the decision")


def next_night(made: Site, told: Told) -> None:
    """The next night scores with the new champion, and nothing again."""
    told.chapter("The next night uses it")
    before = made.rows("scores")
    champion = _champion(made)
    made.drop_images("wednesday", 50, seed=13)
    made.wait(lambda: len(made.rows("scores")) >= len(before) + 50, "the night after the promotion")
    after = made.rows("scores")
    new = after[~after["uri"].isin(before["uri"])]
    assert len(after) == len(before) + 50
    assert after["uri"].is_unique
    assert set(new["model_version"]) == {champion}
    told.text(
        f"50 images arrive. The next run scores them with {champion}. The {len(before)} rows of the champion"
        " before"
        " it stay as they are: a promotion does not score the archive again."
    )


def rollback(made: Site, told: Told) -> None:
    """One command takes the promotion back."""
    told.chapter("A person takes it back")
    champion = _champion(made)
    told.command(
        'skinml models rollback --reason "we want to look at it first"',
        made.printed("models", "rollback", "--reason", "we want to look at it first"),
    )
    assert _champion(made) != champion


def power_loss(made: Site, told: Told, camera: pictures.Camera) -> None:
    """Everything is killed in mid-night, and the next start makes up for it."""
    told.chapter("Power loss in mid-night")
    before = len(made.rows("scores"))
    images = 1_000
    made.drop_images("thursday", images, seed=14)

    def scoring() -> bool:
        running = {"name": {"like_": "score with"}, "state": {"type": {"any_": ["RUNNING"]}}}
        return bool(made.ask("task_runs", task_runs=running))

    made.wait(scoring, "a night that scores")
    killed = made.lose_power()
    told.text(f"{images:,} images arrive. While a run scores them, all {killed} processes are killed at once.")
    lost = len(made.rows("scores"))
    assert lost == before, "the run was over before it was killed"
    printed = made.up()
    told.command("skinml up --deployments every-minute.yaml --gpu-worker", printed)
    made.wait(lambda: len(made.rows("scores")) == before + images, "the night that was made up for")
    scores = made.rows("scores")
    assert scores["uri"].is_unique
    crashed = made.ask("flow_runs", flow_runs={"state": {"type": {"any_": ["CRASHED"]}}})
    assert crashed, "the dead run is not shown as crashed"
    made.wait(lambda: any("rashed" in message for message in made.messages), "a message about the crash")
    told.text(
        f"The run that died is shown as Crashed. The missed night was made up for: {images:,} new rows, each"
        " image"
        " once. Somebody was told:"
    )
    told.command("what the webhook received", next(one for one in made.messages if "rashed" in one))
    told.picture(camera.run(made, crashed[0], "after.png"), "The run that died, in the Prefect UI")
    told.command("skinml status", made.printed("status"))


def _criteria(evidence: list[dict[str, Any]]) -> str:
    """A row for each criterion: what it compares, by how much, within which limit."""
    lines = []
    for one in evidence:
        measured = [_short(one[name]) for name in ("champion", "challenger", "difference", "margin")]
        interval = " to ".join(map(_short, one["interval"])) if one["interval"] else "-"
        lines.append([one["criterion"], *measured, interval, one["verdict"]])
    names = ["criterion", "champion", "challenger", "difference", "margin", "interval", "verdict"]
    return aligned(pd.DataFrame(lines, columns=names))


def aligned(table: pd.DataFrame) -> str:
    """A row a line, each column as wide as its longest cell."""
    cells = [list(table.columns), *table.astype(str).to_numpy().tolist()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3f}"


def _champion(made: Site) -> str:
    return str(made.verb("models")[0]["champion"])


def _decision(result: dict[str, object]) -> str:
    shown = ("decision", "champion", "challenger", "reason")
    return "\n".join(f"{name:11} {result[name]}" for name in shown)


if __name__ == "__main__":
    main()
