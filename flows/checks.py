"""Refuse wrong requests before Prefect is loaded: one check for each verb, named in the table of verbs.

Importing Prefect, which a run on a server does, takes two seconds of CPU. A check calls the same functions of
skinml as its flow does, in the same order, so both refuse in the same words. It is cheap (no second listing, no
large file is read) and writes nothing. The flow checks again, and more: deployments call it directly. Imports
stand where they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinml.errors import RequestError
from skinml.requests.base import ClusterRequest
from skinml.requests.dataset import PrepareRequest
from skinml.requests.evaluation import EvaluateRequest
from skinml.requests.fetching import FetchRequest
from skinml.requests.labels import MislabelledRequest
from skinml.requests.reporting import ReportRequest
from skinml.requests.retraining import RetrainRequest
from skinml.requests.samples import ExploreRequest, OrganizeRequest
from skinml.requests.scoring import QuarantineRequest, ScoreRequest
from skinml.requests.search import SearchRequest
from skinml.requests.tables import CompactRequest, ExportRequest
from skinml.requests.training import TrainRequest
from skinml.requests.up import UpRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skinml.models.precisions import Precision


def prepare(workspace: str, request: PrepareRequest) -> None:
    """Refuse an unknown model, a wrong size, metadata that cannot be read, archives that cannot be listed."""
    from skinml.layout import check_workspace
    from skinml.models.zoo import input_size

    input_size(request.for_model, request.size)
    _check_labelled(check_workspace(workspace), request)
    _check_cluster(request)


def fetch(request: FetchRequest) -> None:
    """Refuse a licence that is not accepted, an address that is not encrypted, a folder with other files."""
    from skinml.isic_archive.address import check_base
    from skinml.isic_archive.download import check_folder
    from skinml.isic_archive.licence import check_accepted

    check_accepted(request.accept_licence)
    check_base(request.url)
    check_folder(request.out)


def explore(workspace: str, request: ExploreRequest) -> None:
    """Refuse a missing library, a workspace in which nothing has run, a wrong folder."""
    from skinml.exploration.folder import check_can_draw, check_folder
    from skinml.layout import find_workspace

    check_can_draw()
    workspace = find_workspace(workspace)
    check_folder(workspace, request.out)


def organize(workspace: str, request: OrganizeRequest) -> None:
    """Refuse a workspace in which nothing has run, and a folder that cannot be used."""
    from skinml.class_folders.folder import check_folder
    from skinml.layout import find_workspace

    check_folder(find_workspace(workspace), request.out)


def train(workspace: str, request: TrainRequest) -> None:
    """Refuse missing libraries, an unknown architecture or teacher, weights that are not there, no samples."""
    _check_training(workspace, request.model, weights=request.weights, weights_sha256=request.weights_sha256)
    from skinml.training.settings import choose

    choose(request.recipe, False, request.switched(), request.epochs, request.batch_size)
    if request.teachers:
        from skinml.models.registry import find

        for version in request.teachers:
            find(workspace, version, "--teachers")
    _check_cluster(request)


def _check_training(
    workspace: str,
    model: str,
    more: Callable[[], None] | None = None,
    weights: str | None = None,
    weights_sha256: str | None = None,
) -> None:
    from skinml.training.installed import check_installed

    check_installed()
    if more is not None:
        more()

    from skinml.dataset.samples import samples_version
    from skinml.layout import check_workspace
    from skinml.training.start import choose_start

    choose_start(model, weights, weights_sha256)
    samples_version(check_workspace(workspace))


def retrain(workspace: str, request: RetrainRequest) -> None:
    """Refuse missing libraries, a champion whose bundle is gone, a workspace without samples, wrong images."""
    from skinml.training.installed import check_installed

    check_installed()

    from skinml.layout import check_workspace
    from skinml.models import registry
    from skinml.models.champion import read_champion_if_any
    from skinml.retraining.recipe import training_of

    workspace = check_workspace(workspace)
    has_champion = read_champion_if_any(workspace) is not None
    champion = registry.find(workspace, registry.CHAMPION) if has_champion else None
    training_of(request, champion, "")
    if request.images:
        _check_labelled(workspace, request)
    else:
        from skinml.dataset.samples import samples_version

        samples_version(workspace)
    _check_cluster(request)


def mislabelled(workspace: str, request: MislabelledRequest) -> None:
    """Refuse missing libraries, an unknown architecture, a workspace without samples."""
    _check_training(workspace, request.model)
    _check_cluster(request)


def search(workspace: str, request: SearchRequest) -> None:
    """Refuse missing libraries, a workspace without samples."""
    from skinml.models.zoo import DEFAULT
    from skinml.training.installed import check_can_search

    _check_training(workspace, DEFAULT, check_can_search)
    _check_cluster(request)


def evaluate(workspace: str, request: EvaluateRequest) -> None:
    """Refuse missing libraries, an unknown model version, labels that cannot be read, archives likewise."""
    from skinml.training.installed import check_can_judge

    check_can_judge("evaluate")

    from skinml.layout import check_workspace, find_workspace

    if request.outcomes:
        from skinml.records.history import check_scored

        workspace = check_workspace(find_workspace(workspace))
        check_scored(workspace)
    else:
        workspace = check_workspace(workspace)
        _check_model(workspace, request.model or "champion", request.precision)
    if request.metadata:
        _check_metadata(request.metadata, request.map, request.drop, lesions_needed=False)
    for url in request.images:
        _check_archive(workspace, url)
    _check_cluster(request)


def score(workspace: str, request: ScoreRequest) -> None:
    """Refuse an unknown model version, a precision it may not score in, an archive that cannot be listed."""
    from skinml.layout import check_workspace

    workspace = check_workspace(workspace)
    _check_model(workspace, request.model, request.precision)
    if request.shadow is not None:
        _check_shadow(workspace, request)
    _check_archive(workspace, request.archive)
    _check_cluster(request)


def replay(workspace: str, request: QuarantineRequest) -> None:
    """Refuse a workspace in which nothing has run, an unknown model version or run."""
    from skinml.layout import check_workspace, find_workspace

    workspace = check_workspace(find_workspace(workspace))
    _check_model(workspace, request.model, request.precision)
    if request.run is not None:
        from skinml.records.history import find_run
        from skinml.records.quarantine import FLOWS

        find_run(workspace, request.run, FLOWS)
    _check_cluster(request)


def export(workspace: str, request: ExportRequest) -> None:
    """Refuse a workspace in which nothing has run, a file that is there already, an unknown column or run."""
    from skinml.layout import find_workspace
    from skinml.records.export import FLOWS, check_target
    from skinml.records.export_rows import Choice, check_choice
    from skinml.records.history import find_run, latest_run

    workspace = find_workspace(workspace)
    check_target(request.out)
    check_choice(Choice(request.columns, request.sort, request.top))
    if request.run is None:
        latest_run(workspace, FLOWS)
    else:
        find_run(workspace, request.run, FLOWS)


def report(workspace: str, request: ReportRequest) -> None:
    """Refuse a workspace in which nothing has run, or which may not be written to."""
    from skinml.layout import check_workspace, find_workspace

    check_workspace(find_workspace(workspace))
    _check_cluster(request)


def compact(workspace: str, request: CompactRequest) -> None:
    """Refuse a workspace in which nothing has run, or which may not be written to."""
    from skinml.layout import check_workspace, find_workspace

    workspace = find_workspace(workspace)
    if not request.dry_run:
        check_workspace(workspace)


def up(workspace: str, request: UpRequest) -> None:
    """Refuse a workspace that does not exist and could not be made, and images that cannot be listed."""
    from skinml.errors import RequestError
    from skinml.layout import check_workspace, find_workspace
    from skinml.requests.up import is_loopback

    if not request.auth and not is_loopback(request.host):
        raise RequestError(f"--host {request.host} lets other machines in: give --auth too")
    workspace = check_workspace(workspace)
    if bool(request.images) != bool(request.metadata):
        raise RequestError("up: --images and --metadata belong together: give both, or none")
    if request.images:
        _check_labelled(workspace, request)
    else:
        find_workspace(workspace)  # `prepare` would make it
    if request.archive is not None:
        _check_archive(workspace, request.archive)


def _check_labelled(workspace: str, request: PrepareRequest | RetrainRequest | UpRequest) -> None:
    """Refuse metadata that cannot be read, and archives that cannot be listed. `up` maps and drops no class."""
    classes = ((), ()) if isinstance(request, UpRequest) else (request.map, request.drop)
    _check_metadata(request.metadata, *classes)
    for url in request.images:
        _check_archive(workspace, url)


def _check_metadata(
    urls: Sequence[str], mapped: Sequence[str], dropped: Sequence[str], lesions_needed: bool = True
) -> None:
    from skinml.dataset.metadata_file import check_metadata_file

    small = [check_metadata_file(url) for url in urls]
    if all(small):
        from skinml.dataset.metadata import read_metadata  # with pandas: half a second

        read_metadata(urls, mapped, dropped, lesions_needed=lesions_needed)


def _check_model(workspace: str, version: str, precision: Precision, flag: str = "--model") -> None:
    from skinml.models.allowed import network_file
    from skinml.models.registry import find

    network_file(find(workspace, version, flag), precision)


def _check_shadow(workspace: str, request: ScoreRequest) -> None:
    from skinml.models.registry import find

    _check_model(workspace, str(request.shadow), request.precision, "--shadow")
    if find(workspace, request.model).version == request.shadow:
        raise RequestError(f"--shadow {request.shadow}: this version scores the night itself; name another one")


def _check_cluster(request: ClusterRequest) -> None:
    """Refuse an unknown kind of cluster, a wrong file, a missing extra. Addresses are tried later."""
    from skinml.compute.kinds import check_can_start
    from skinml.compute.spec import ClusterSpec

    spec = ClusterSpec(request.cluster)
    if spec.is_started:
        check_can_start(str(spec.address), spec.kind, spec.file)


def _check_archive(workspace: str, url: str) -> None:
    from skinml.layout import find_archive
    from skinml.storage.listing import list_images

    archive = find_archive(workspace, url)
    next(list_images(archive.url, archive.left_out, at_once=1), None)
