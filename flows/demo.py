"""The demo: synth, prepare, train and score an archive with broken files, on a Prefect server of its own.

Each step is the command line itself, shown as it is run, so that a newcomer can go on by hand.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.summaries import SUMMARIES, summary
from flows.cli.verbs import REQUESTS
from flows.server import Server, prefect_server
from skinml import DISCLAIMER, tables
from skinml.errors import RequestError, RunError
from skinml.layout import champion_url, open_workspace, table_url
from skinml.requests.lab import DemoRequest
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage.objects import exists
from skinml.storage.urls import file_uri
from skinml.training.installed import check_installed

if TYPE_CHECKING:
    import pandas as pd

MARKER = ".skinml-demo"
REPORTS_PAGE = "reports/index.html"
"""The page of all nights in a workspace."""

EPOCHS = 8
BATCH_SIZE = 16
"""Enough for the made-up classes to be told apart, in half a minute on two cores."""
CORRUPT = 0.1


def demo(request: DemoRequest) -> dict[str, Any]:
    """Run the whole story below the folder `out`, which is emptied first if an earlier demo made it.

    Args:
        request: the folder for the labelled images, tonight's archive, the workspace and the server; how many
            labelled images to make up. Tonight's archive has a third as many.

    Raises:
        RequestError: what it needs for training is not installed, or the folder is taken.
        RunError: a step failed.
    """
    check_installed()
    out, images = Path(request.out), request.images
    _make_room(out)
    workspace = str(out / "workspace")
    labelled, tonight = out / "labelled", out / "archive"
    with prefect_server(out / "prefect") as server:
        _say(f"A Prefect server starts on {server.ui} ...")
        _skinml("synth", "--images", images, "--out", labelled)
        _skinml("synth", "--images", images // 3, "--corrupt", CORRUPT, "--seed", 7, "--out", tonight)
        server.wait_until_ready()

        os.environ["PREFECT_API_URL"] = server.url  # for the steps, which are processes of their own
        roots = [
            part for number in (1, 2) for part in ("--images", labelled / f"HAM10000_images_part_{number}")
        ]
        metadata = labelled / "HAM10000_metadata.csv"
        prepared = _skinml("--workspace", workspace, "prepare", *roots, "--metadata", metadata)
        trained = _skinml("--workspace", workspace, "train", "--epochs", EPOCHS, "--batch-size", BATCH_SIZE)
        if trained["decision"] == "kept":  # too few images for the floors; with 600 it meets them
            forced = ("--force", "--reason", "a demo of few images")
            _skinml("--workspace", workspace, "models", "promote", trained["model_version"], *forced)
        scored = _skinml("--workspace", workspace, "score", "--archive", tonight)
        again = _skinml("--workspace", workspace, "score", "--archive", tonight)
        likeliest = _show(workspace)
        report = _report(workspace)
        _where_next(out, workspace, server, likeliest)
        _linger(server)
    return {
        "prepared": prepared["prepared"],
        "model_version": trained["model_version"],
        "balanced_accuracy": trained["metrics"]["balanced_accuracy"],
        "scored": scored["scored"],
        "quarantined": scored["quarantined"],
        "scored_again": again["scored"],
        "workspace": workspace,
        "report": report,
    }


def _make_room(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise RequestError(f"--out {out}: is a file, name a folder")
    if (out / MARKER).exists():
        shutil.rmtree(out)
    elif out.exists() and any(out.iterdir()):
        raise RequestError(f"--out {out}: is not empty and no earlier demo's, name another folder")
    out.mkdir(parents=True)
    (out / MARKER).touch()


def _skinml(*arguments: object) -> dict[str, Any]:
    """Run the command line as a person would, show the command and what came out in a line."""
    words = [str(argument) for argument in arguments]
    _say(f"\n$ skinml {shlex.join(words)}")
    # -P: a folder called flows where the demo is started is not ours
    command = [sys.executable, "-P", "-m", "skinml", "--json", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603
        try:
            stdout, stderr = process.communicate()
        except BaseException:  # a signal, which the step handles as well: it writes its row and tidies up
            process.terminate()
            process.communicate()
            raise
    if process.returncode:
        _say(stderr)
        raise RunError(f"this step failed with exit code {process.returncode}: {_why(stdout, stderr)}")
    result: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    verb, action = _verb_of(words)
    _say(f"  {summary(verb, action, result)}")
    return result


def _verb_of(words: Sequence[str]) -> tuple[str, str | None]:
    """The verb of a command line, and its action."""
    start = next(place for place, word in enumerate(words) if word in REQUESTS)
    action = words[start + 1] if (words[start], words[start + 1]) in SUMMARIES else None
    return words[start], action


def _why(stdout: str, stderr: str) -> str:
    """What a step said of its failure, without the `skinml: ` that it begins with on stderr."""
    try:
        answer: dict[str, Any] = json.loads(stdout.splitlines()[-1])
        return str(answer["error"])
    except (IndexError, ValueError, KeyError):  # it was killed, or printed something else
        return (stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("skinml: ")


def _show(workspace: str) -> str:
    """Show runs, scores and quarantine; the image_id of the likeliest malignant image."""
    workspace = open_workspace(workspace)
    runs = tables.read(workspace, "runs").to_pandas().sort_values("started_at")
    scores = tables.read(workspace, "scores").to_pandas().sort_values("p_malignant", ascending=False)
    quarantine = tables.read(workspace, "quarantine").to_pandas()
    _say("\nRuns")
    _say(_table(runs, ["flow", "status", "listed", "skipped", "done", "quarantined", "seconds"]))
    _say("\nScores, the likeliest malignant first")
    _say(_table(scores.head(5), ["image_id", "predicted_dx", "p_malignant", *PROBABILITY_COLUMNS]))
    _say("\nQuarantine")
    reasons = quarantine.groupby("reason").agg(images=("uri", "size"), for_example=("detail", "first"))
    _say(_table(reasons.reset_index(), ["reason", "images", "for_example"]))
    return str(scores["image_id"].iloc[0])


def _report(workspace: str) -> str | None:
    """The address of the page of all nights, for a browser; None if there is none."""
    page = f"{open_workspace(workspace)}/{REPORTS_PAGE}"
    return file_uri(page) if exists(page) else None


def _table(rows: pd.DataFrame, columns: list[str]) -> str:
    text = rows[columns].to_string(index=False, float_format="{:.3f}".format, max_colwidth=60)
    return "\n".join("  " + line for line in text.splitlines())


def _where_next(out: Path, workspace: str, server: Server, image_id: str) -> None:
    _say(f"""
Where to look next
  the tables     {table_url(workspace, "scores")} (Delta Lake: DuckDB, pandas, Polars and Spark read it)
  the model      {champion_url(workspace)} names it; its folder has a card.html
  a score        skinml --workspace {workspace} explain {image_id}
  the runs       PREFECT_HOME={out / "prefect"} prefect server start, then {server.ui}

{DISCLAIMER} These images are made up.""")


def _linger(server: Server) -> None:
    """Leave the UI up for a person who sits here; a script goes on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    _say(f"\nThe Prefect UI is on {server.ui} until you press Enter.")
    sys.stdin.readline()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
