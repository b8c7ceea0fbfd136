"""Plan a search: its folder in the workspace, and which trials come next, given the results so far."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from skinml.compute import NOT_YET, NotYet
from skinml.layout import search_url
from skinml.models.searched_structure import cost
from skinml.search.images import Images, pack_images
from skinml.search.propose import propose
from skinml.search.space import THESIS, VERSION, Values, structure_of
from skinml.search.trials import REFERENCE, Trial, TrialJob, model_of, trial_name
from skinml.storage.objects import exists, write_bytes


@dataclass(frozen=True)
class Search:
    """A search, as its folder in the workspace holds it. The number of trials is no part of it: it may grow.

    Attributes:
        folder: URL of `search/<key>`; the key is a hash of everything that a trial's result depends on.
        images: URL of the images.
        images_sha256: of that file.
        colours: mean and standard deviation of the training images' colours.
        epochs: of a trial, at most.
        seed: of proposals, weights and order.
        at_once: a trial is proposed from the results of all trials but the `at_once - 1` before it.
        max_multiply_adds: no network that needs more for an image is tried.
    """

    folder: str
    images: str
    images_sha256: str
    colours: tuple[float, ...]
    epochs: int
    seed: int
    at_once: int
    max_multiply_adds: int


def plan_search(
    workspace: str, images: Images, epochs: int, seed: int, at_once: int, max_multiply_adds: int
) -> Search:
    """Put the images into the search's folder; the same request on the same images finds the same folder."""
    data = pack_images(images)
    sha256 = hashlib.sha256(data).hexdigest()
    asked = {
        "space": VERSION,
        "images_sha256": sha256,
        "epochs": epochs,
        "seed": seed,
        "at_once": at_once,
        "max_multiply_adds": max_multiply_adds,
    }
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    folder = search_url(workspace, key)
    url = f"{folder}/images.npz"
    if not exists(url):
        write_bytes(url, data)
    write_bytes(f"{folder}/search.json", json.dumps(asked, indent=1).encode())
    return Search(folder, url, sha256, images.colours, epochs, seed, at_once, max_multiply_adds)


def next_jobs(search: Search, trials: int, finished: Mapping[int, Trial]) -> Iterator[TrialJob | NotYet]:
    """The jobs that are left, in their order; NOT_YET as long as the next one depends on missing results.

    First the thesis's network, to compare with. What is proposed depends on numbers and results alone, and not
    on when they came: the trials are the same with any number of workers, and if the search was killed in
    between. (A trial that failed because its machine was short of memory is a result too.)

    Args:
        search: what is searched.
        trials: how many are wanted.
        finished: results by number. The caller adds to it as results come.
    """
    if REFERENCE not in finished:
        yield job_of(search, REFERENCE, THESIS)
    values: dict[int, Values] = {}

    def acceptable(one: Values) -> bool:
        return cost(structure_of(one)).multiply_adds <= search.max_multiply_adds

    for number in range(1, trials + 1):
        if number in finished:
            values[number] = finished[number].values
            continue
        needed = range(1, number - search.at_once + 1)
        while not all(one in finished for one in needed):
            yield NOT_YET
        scores = {one: (finished[one].values, score) for one in needed if (score := finished[one].score)}
        proposed = propose(number, search.seed, scores, values, acceptable)
        if proposed is None:
            return
        values[number] = proposed
        yield job_of(search, number, proposed)


def job_of(search: Search, number: int, values: Values) -> TrialJob:
    """The job of a trial."""
    return TrialJob(
        number=number,
        values=dict(values),
        model=model_of(values, search.colours),
        images=search.images,
        images_sha256=search.images_sha256,
        record=f"{search.folder}/{trial_name(number)}",
        epochs=search.epochs,
        seed=search.seed,
    )
