"""The mislabelled flow: name the labels that networks which have not seen the lesion disagree with most."""

from __future__ import annotations

from typing import Any

from flows.flow import flow
from flows.naming import asked, dated
from skinml.models.zoo import DEFAULT, pixels_for
from skinml.records.runs import begin
from skinml.requests.labels import MislabelledRequest
from skinml.training.installed import check_installed
from skinml.training.start import choose_start, placed
from tasks.cluster import check_cluster, release_cluster
from tasks.ending import ends_as
from tasks.fit import forget_checkpoints, workplace
from tasks.labels import check_folds, predict_out_of_fold, write_ranking
from tasks.pixels import find_missing, make_pixels, read_samples
from tasks.runs import begin_run, recorded
from tasks.states import of_ranking
from tasks.workspace import open_workspace


def _run_name() -> str:
    return dated("mislabelled", str(asked("model") or DEFAULT))


@flow(name="mislabelled", flow_run_name=_run_name, validate_parameters=False)
@ends_as(of_ranking)
def mislabelled(workspace: str, request: MislabelledRequest) -> dict[str, Any]:
    """Fit one network a fold of lesions, and rank all labels by how much the held-out probabilities disagree.

    Nothing is changed: a suspicious label is for a person to look at.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: how many labels to name; folds, architecture, epochs, batch size, seed.

    Returns:
        lesions and images that were ranked; issues: lesions that are confidently another diagnosis; rows: the
        `top` most suspicious (`evaluation.mislabelled.rank_labels`); files.
    """
    check_installed()
    start, file = choose_start(request.model, None)
    run = begin("mislabelled", request.model_dump(mode="json"))
    pixels = pixels_for(request.model, None, "fast")
    with recorded(workspace, run) as record:
        workspace = open_workspace(workspace)
        samples = read_samples(workspace)
        check_folds(samples, request)
        missing = find_missing(workspace, samples, pixels)
        check_cluster(workspace, request, record, images=missing.work["uri"].head(1).to_list())

        begin_run(record, workspace)
        store = make_pixels(workspace, samples, missing, pixels, request, run)
        release_cluster(record)
        with workplace(workspace, record) as place:
            start = placed(start, file, f"{place.url}/weights")
            predictions = predict_out_of_fold(store, request, place, start)
        ranked, files = write_ranking(workspace, run.run_id, predictions, request.top)
        forget_checkpoints(place)

    return {
        "run_id": run.run_id,
        "images": len(predictions),
        "lesions": len(ranked),
        "issues": int(ranked["issue"].sum()),
        "rows": ranked[: request.top].to_dict("records"),
        "files": files,
        "dataset_version": samples.version,
        "seconds": record.row["seconds"],
    }
