"""A score that was killed goes on where it was: what was scored is not decoded again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from flows.drill import COMMAND
from skinml import tables
from skinml.lab.drill.compare import State, compare, read_state
from skinml.lab.drill.kills import Ended, Scene, one_run
from skinml.lab.drill.places import folder_place
from skinml.lab.drill.plan import ADOPTED, RECORDED, Kill, Victim
from skinml.records.unpublished import read_records, record_urls
from tests.command import CommandLine

pytestmark = pytest.mark.slow

IMAGES = 300  # five shards


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, jpeg: Callable[..., bytes]) -> Path:
    """Small images, which cost little to make and to score; every 25th is cut off."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(IMAGES):
        data = jpeg(number)
        (folder / f"{number}.jpg").write_bytes(data if number % 25 else data[: len(data) // 2])
    return folder


@pytest.fixture
def scene(trained: Path, archive: Path, tmp_path: Path) -> Scene:
    """Runs as processes of their own, in a fresh workspace."""
    shutil.copytree(trained, tmp_path / "workspace")
    (tmp_path / "logs").mkdir()
    place = folder_place(tmp_path, archive)
    rng = Random(1)  # noqa: S311 - nothing is drawn
    return Scene(place, str(tmp_path / "workspace"), COMMAND, 2, tmp_path / "logs", 0.0, IMAGES, rng)


@pytest.fixture(scope="module")
def undisturbed(trained: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> State:
    """What a run that nobody disturbs leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    workspace = folder / "workspace"
    shutil.copytree(trained, workspace)
    (folder / "logs").mkdir()
    rng = Random(1)  # noqa: S311 - nothing is drawn
    place = folder_place(folder, archive)
    ended = one_run(Scene(place, str(workspace), COMMAND, 1, folder / "logs", 0.0, IMAGES, rng), "undisturbed")
    assert ended.account.result is not None
    assert ended.account.result["resumed"] == 0
    assert ended.account.result["health"] in {"usual", "drifted"}
    return read_state(str(workspace))


def recorded(workspace: str) -> int:
    """How many images have been decoded and recorded, by whomever."""
    parts = [(record.table, record.part) for _, record in read_records(workspace)]
    rows = [tables.read_parts(workspace, table, [part], ["uri"])["uri"].to_pylist() for table, part in parts]
    return len({uri for part in rows for uri in part})


def killed(scene: Scene, name: str, point: int) -> Ended:
    ended = one_run(scene, name, Kill(Victim.FLOW, point))
    assert (ended.hit, ended.findings) == (True, [])
    return ended


def test_only_what_was_not_recorded_is_decoded_again(scene: Scene, undisturbed: State) -> None:
    first = killed(scene, "1", RECORDED)
    done = recorded(scene.workspace)
    assert 64 <= done < IMAGES
    last = one_run(scene, "2")
    assert last.account.result is not None
    assert last.account.result["resumed"] == last.resumed == done
    read_again = last.account.result["scored"] + last.account.result["quarantined"] - done
    assert read_again == IMAGES - done
    assert f"an interrupted run has scored {done} of these images, {IMAGES - done} are left" in (
        scene.folder / "2.log"
    ).read_text(encoding="utf-8")
    assert compare(undisturbed, read_state(scene.workspace), [first.account, last.account]) == []


@pytest.mark.drill  # four runs, of which three are killed
def test_a_night_that_takes_over_everything_is_as_if_nothing_had_happened(
    scene: Scene, undisturbed: State
) -> None:
    """Through two more that died while they took over; the last one loads no image at all."""
    runs = [killed(scene, "1", 6), killed(scene, "2", ADOPTED), killed(scene, "3", 7)]
    assert recorded(scene.workspace) == IMAGES
    runs.append(one_run(scene, "4"))
    result = runs[-1].account.result
    assert result is not None
    assert (result["resumed"], result["scored"] + result["quarantined"]) == (IMAGES, IMAGES)
    state = read_state(scene.workspace)
    assert compare(undisturbed, state, [run.account for run in runs]) == []
    assert json.loads(state.runs["health_detail"].iloc[0])["images"] == result["scored"]
    assert record_urls(scene.workspace) == []


def test_a_night_of_too_many_bad_images_has_them_read_again_and_keeps_what_it_scored(
    trained: Path, archive: Path, tmp_path: Path, skinml: CommandLine, shared_workers: None
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(trained, workspace)
    asked = ["--workspace", workspace, "score", "--archive", archive]
    skinml(*asked, "--max-quarantined", "1%", expect=1)
    assert {url.rpartition("-")[2] for url in record_urls(str(workspace))} == {"scores.json"}
    result = skinml(*asked).result
    assert (result["resumed"], result["scored"], result["quarantined"]) == (288, 288, 12)
    assert record_urls(str(workspace)) == []
