"""Tests of skinml/storage/probe.py: objects that show who sees what, and of which nothing stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from skinml.storage.listing import list_images
from skinml.storage.objects import names, write_bytes
from skinml.storage.probe import probe_folder
from skinml.storage.tree import walk
from skinml.storage.urls import is_remote


def test_probes_are_no_images_and_go_whatever_happens(place: str) -> None:

    def fail() -> None:
        with probe_folder(f"{place}/a/workspace") as folder:
            for name in ("driver", "worker.jpg"):
                write_bytes(f"{folder}/{name}", b"x")
            assert names(folder) == ["driver", "worker.jpg"]
            assert sum(piece.images.num_rows for piece in list_images(place)) == 0
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(walk(place)) == []
    assert is_remote(place) or names(place) == [], "folders that were made for it are gone as well"


def test_what_others_put_there_meanwhile_stays(tmp_path: Path) -> None:
    workspace = tmp_path / "a" / "workspace"
    with probe_folder(str(workspace)) as folder:
        write_bytes(f"{folder}/driver", b"x")
        write_bytes(f"{workspace}/runs/row", b"x")
    assert list(walk(str(tmp_path))) == ["a/workspace/runs/row"]
    with probe_folder(str(workspace)):
        pass
    assert [path.name for path in workspace.iterdir()] == ["runs"]


def test_what_a_killed_process_has_left_goes_after_an_hour(tmp_path: Path) -> None:
    for name, hours in ((".probe-old", 2), (".probe-young", 0)):
        write_bytes(f"{tmp_path}/{name}/driver", b"x")
        moment = time.time() - 3600 * hours
        os.utime(tmp_path / name / "driver", (moment, moment))
    with probe_folder(str(tmp_path)):
        pass
    assert names(str(tmp_path)) == [".probe-young"]
