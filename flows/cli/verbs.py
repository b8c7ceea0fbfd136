"""The verbs of the command line: what each runs, and whether it needs a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinml.requests.dataset import PrepareRequest
from skinml.requests.lab import DemoRequest, DrillRequest, SynthRequest
from skinml.requests.scoring import QuarantineRequest, ScoreRequest
from skinml.requests.tables import CompactRequest, ExportRequest
from skinml.requests.training import TrainRequest


def _prepare(workspace: str, request: PrepareRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.prepare import prepare

    return run(prepare, workspace=workspace, request=request)


def _train(workspace: str, request: TrainRequest) -> dict[str, Any]:
    from skinml.training.installed import check_installed

    check_installed()  # before Prefect is loaded, which takes longer than this answer may

    from flows.engine import run
    from flows.train import train

    return run(train, workspace=workspace, request=request)


def _score(workspace: str, request: ScoreRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.score import score

    return run(score, workspace=workspace, request=request)


def _quarantine(workspace: str, request: QuarantineRequest) -> dict[str, Any]:
    if request.action == "list":  # a look at tables needs no orchestrator
        from skinml.layout import find_workspace
        from skinml.records.quarantine import by_reason, in_quarantine, one_by_one

        place = find_workspace(workspace)
        found = in_quarantine(place, request.flow, request.reason, request.run)
        return {"rows": one_by_one(found) if request.images else by_reason(found), "images": len(found)}

    from flows.engine import run
    from flows.replay import replay

    return run(replay, workspace=workspace, request=request)


def _export(workspace: str, request: ExportRequest) -> dict[str, Any]:
    from flows.engine import run
    from flows.export import export

    return run(export, workspace=workspace, request=request)


def _compact(workspace: str, request: CompactRequest) -> dict[str, Any]:
    from flows.compact import compact
    from flows.engine import run

    return run(compact, workspace=workspace, request=request)


def _synth(_: str, request: SynthRequest) -> dict[str, Any]:
    from tqdm import tqdm

    from skinml.lab.synth import make_archive

    with tqdm(total=request.images, unit="images", disable=None, leave=False) as bar:

        def on_progress(images: int) -> None:
            bar.update(images)

        archive = make_archive(request.out, request.images, request.corrupt, request.seed, on_progress)
    return {
        "images": archive.images,
        "corrupt": archive.corrupt,
        "roots": [str(root) for root in archive.roots],
        "metadata": str(archive.metadata),
    }


def _demo(_: str, request: DemoRequest) -> dict[str, Any]:
    from flows.demo import demo

    return demo(Path(request.out), request.images)


def _drill(workspace: str, request: DrillRequest) -> dict[str, Any]:
    from flows.drill import drill

    return drill(workspace, request)


@dataclass(frozen=True)
class Verb:
    """A verb of the command line: what it does with workspace and request, and whether it needs a workspace.

    `went_well` looks at the result of a verb that may end with exit code 1 and still has something to print.
    """

    run: Callable[[str, Any], dict[str, Any]]
    needs_workspace: bool = True
    went_well: Callable[[Mapping[str, Any]], bool] = lambda _: True


VERBS: Mapping[str, Verb] = {
    "prepare": Verb(_prepare),
    "train": Verb(_train),
    "score": Verb(_score),
    "quarantine": Verb(_quarantine),
    "export": Verb(_export),
    "compact": Verb(_compact),
    "synth": Verb(_synth, needs_workspace=False),
    "demo": Verb(_demo, needs_workspace=False),
    "drill": Verb(_drill, went_well=lambda result: not result["problems"]),
}
