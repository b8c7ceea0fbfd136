"""Tests of skinml/search/plan.py and trials.py: the order of trials, continuation, and records."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from skinml.compute import NOT_YET
from skinml.models.searched_structure import THESIS
from skinml.search.images import Images
from skinml.search.plan import Search, next_jobs, plan_search
from skinml.search.run_trial import leave_record
from skinml.search.trials import (
    REFERENCE,
    Measured,
    Trial,
    TrialJob,
    best_of,
    done,
    failed,
    read_trials,
    structure_of_model,
    table_of,
)

LIMIT = 5_000_000


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return _plan(tmp_path)


def _plan(workspace: Path, epochs: int = 2, seed: int = 5) -> Search:
    pixels = np.random.default_rng(0).integers(0, 256, (14, 32, 32, 3), dtype=np.uint8)
    images = Images(pixels[:7], np.arange(7), pixels[7:], np.arange(7))
    return plan_search(str(workspace), images, epochs, seed, 2, LIMIT)


def _measure(job: TrialJob, score: float | None = None) -> Trial:
    """A made-up result that follows from the job, so that every order of fitting gives the same ones."""
    if score is None:
        score = (len(job.model) * 37 % 100) / 100
    return done(job, Measured(score, score, 1.0, 1, 2, [score], 0.5))


def _run(search: Search, trials: int, finished: dict[int, Trial], at_once: int, most: int = 10**6) -> None:
    """Fit up to `most` trials, `at_once` at a time, and the last of them first."""
    jobs, running = next_jobs(search, trials, finished), list[TrialJob]()
    while most:
        following = next(jobs, None) if len(running) < at_once else NOT_YET
        if isinstance(following, TrialJob):
            running.append(following)
        elif running:
            job = running.pop()
            finished[job.number] = _measure(job)
            most -= 1
        else:
            return


def test_any_number_of_workers_tries_the_same_networks(search: Search) -> None:
    one: dict[int, Trial] = {}
    several: dict[int, Trial] = {}
    _run(search, 12, one, 1)
    _run(search, 12, several, 5)
    assert one == several
    assert sorted(one) == list(range(13))
    assert len({trial.model + str(trial.values) for trial in one.values()}) == 13
    assert structure_of_model(one[REFERENCE].model) == THESIS


def test_a_search_that_was_killed_continues_as_it_would_have_gone_on(search: Search) -> None:
    whole: dict[int, Trial] = {}
    pieces: dict[int, Trial] = {}
    _run(search, 12, whole, 2)
    for most in (3, 1, 4, 100):
        _run(search, 12, pieces, 3, most)
    assert pieces == whole
    _run(search, 14, pieces, 2)
    assert sorted(pieces) == list(range(15))
    assert {number: pieces[number] for number in whole} == whole, "more trials only add to it"


def test_a_trial_waits_for_the_results_it_depends_on(search: Search) -> None:
    finished: dict[int, Trial] = {}
    jobs = next_jobs(search, 3, finished)
    numbers = [job.number for job in (next(jobs), next(jobs), next(jobs)) if isinstance(job, TrialJob)]
    assert numbers == [REFERENCE, 1, 2]
    assert next(jobs) is NOT_YET
    assert next(jobs) is NOT_YET


def test_failed_trials_are_results_too(search: Search) -> None:
    finished: dict[int, Trial] = {}
    jobs = next_jobs(search, 6, finished)
    for job in jobs:
        if isinstance(job, TrialJob):
            finished[job.number] = failed(job, "its process was\nended by SIGKILL")
    assert sorted(finished) == list(range(7))
    assert best_of(finished.values()) is None
    assert table_of(finished.values())["reason"].to_pylist()[3] == "its process was ended by SIGKILL"


def test_another_request_is_another_search_and_the_same_one_is_found_again(tmp_path: Path) -> None:
    folders = {_plan(tmp_path).folder, _plan(tmp_path, epochs=3).folder, _plan(tmp_path, seed=6).folder}
    assert len(folders) == 3
    assert _plan(tmp_path).folder in folders


def test_records_are_read_back_and_what_is_none_is_said_and_left_out(
    search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    finished: dict[int, Trial] = {}
    _run(search, 3, finished, 1)
    for trial in finished.values():
        job = TrialJob(
            trial.number,
            trial.values,
            trial.model,
            search.images,
            search.images_sha256,
            f"{search.folder}/trial-{trial.number:04d}.json",
            2,
            5,
        )
        leave_record(job, trial)
    assert read_trials(search.folder) == finished
    folder = Path(search.folder)
    (folder / "trial-0001.json").write_text('{"number": 1}')
    (folder / "trial-0002.json").rename(folder / "trial-0009.json")
    (folder / "trial-0003.json").write_text(
        (folder / "trial-0003.json").read_text().replace("kernel=", "core=")
    )
    with caplog.at_level(logging.WARNING):
        assert read_trials(search.folder).keys() == {REFERENCE}
    assert caplog.text.count("is no record of a trial") == 3


def test_of_equally_good_networks_the_smallest_is_best(search: Search) -> None:
    small, large = (
        TrialJob(number, {}, f"searched-cnn:filters={filters}", search.images, "0" * 64, search.images, 1, 1)
        for number, filters in ((2, 16), (1, 64))
    )
    trials = [_measure(large, 0.5), _measure(small, 0.5)]
    best = best_of(trials)
    assert best is not None
    assert best.number == 2


def test_the_table_has_every_trial_with_its_size_and_hyperparameters(search: Search) -> None:
    finished: dict[int, Trial] = {}
    _run(search, 5, finished, 2)
    table = table_of(finished.values()).to_pandas()
    assert table["trial"].tolist() == list(range(6))
    assert table["parameters"][0] == 384_455
    assert table["network"][0] == "256-128-64"
    assert table["learning_rate"].notna().all()
    assert (table.loc[1:, "multiply_adds"] <= LIMIT).all()
