"""Two machines that share nothing but the network and a bucket: the same tables as on one machine.

A worker comes late, one is killed, and one host is cut off for 45 s. `make drill-hosts` runs it, as root.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from skinml import tables
from skinml.lab.synth import make_archive
from skinml.lab.synth.archive import METADATA, PARTS
from tests.services.hosts import can_make_hosts
from tests.services.network import SAMPLES, SCORES, content, fetched, kill_when_busy, network, put, run, worker
from tests.services.processes import wait_for

IMAGES = 3_000
CUT_OFF_SECONDS = 45.0

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not can_make_hosts(), reason="needs root, iproute2 and namespaces"),
]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    make_archive(folder, IMAGES, seed=5)
    return folder


@pytest.fixture(scope="module")
def on_one_machine(labelled: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that one machine makes: prepared from all images, and all of them scored."""
    workspace = tmp_path_factory.mktemp("one") / "workspace"
    shutil.copytree(trained / "models", workspace / "models")
    command = [sys.executable, "-P", "-m", "skinml", "--workspace", str(workspace)]
    roots = [part for name in PARTS for part in ("--images", str(labelled / name))]
    subprocess.run([*command, "prepare", *roots, "--metadata", str(labelled / METADATA)], check=True)
    subprocess.run([*command, "score", "--archive", str(labelled)], check=True)
    return workspace


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_the_same_tables_whatever_happens_to_workers_and_hosts(
    protocol: str, labelled: Path, trained: Path, on_one_machine: Path, tmp_path: Path
) -> None:
    with network(tmp_path, protocol) as made:
        put(made, labelled, "skinml/labelled")
        put(made, trained / "models", "skinml/workspace/models")
        verbs = ["--workspace", "s3://skinml/workspace"]
        cluster = ["--cluster", made.scheduler]

        def late_and_killed(log: Path) -> None:
            """A worker joins when the images are listed; another one is killed as soon as it is at work."""
            wait_for(lambda: b"images listed" in log.read_bytes(), 300, "the listing")
            worker(made, made.first, f"late-{log.stem}")
            kill_when_busy(made.first)

        roots = [part for name in PARTS for part in ("--images", f"s3://skinml/labelled/{name}")]
        metadata = ["--metadata", f"s3://skinml/labelled/{METADATA}"]
        prepared = run(
            made, "prepare", *verbs, "prepare", *roots, *metadata, *cluster, meanwhile=late_and_killed
        )
        assert prepared["prepared"] == IMAGES

        def cut_off(log: Path) -> None:
            """From the listing on, one host is cut off; it comes back when its work was given to others."""
            wait_for(lambda: b"images listed" in log.read_bytes(), 300, "the listing")
            made.second.cut_off()
            started = time.monotonic()
            late_and_killed(log)
            time.sleep(CUT_OFF_SECONDS - (time.monotonic() - started))
            made.second.join_again()

        scored = run(
            made, "score", *verbs, "score", "--archive", "s3://skinml/labelled", *cluster, meanwhile=cut_off
        )
        assert scored["scored"] == IMAGES
        there = fetched(made, "skinml/workspace")
    pd.testing.assert_frame_equal(
        content(there, "samples", SAMPLES), content(on_one_machine, "samples", SAMPLES)
    )
    pd.testing.assert_frame_equal(content(there, "scores", SCORES), content(on_one_machine, "scores", SCORES))
    runs = tables.read(str(there), "runs").to_pandas()
    assert runs["status"].tolist() == ["completed"] * len(runs)
