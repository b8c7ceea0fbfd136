"""The Prefect UI as a person sees it: headless Chromium opens the page of a run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from flows.server import Server
from tests.services.processes import skinml_process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_run_can_be_read_in_the_browser(
    prefect_server: Server, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    archive = tmp_path / "browsed archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(jpeg())
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    environment = {"PREFECT_API_URL": prefect_server.url}
    skinml_process(
        "--workspace", workspace, "score", "--archive", archive, environment=environment, cwd=tmp_path
    )
    name = "score browsed archive with champion"
    query = {"flow_runs": {"name": {"any_": [name]}}}
    [run] = httpx.post(f"{prefect_server.url}/flow_runs/filter", json=query).json()

    picture = tmp_path / "run.png"
    page = f"{prefect_server.ui}/runs/flow-run/{run['id']}"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    shared = [str(CHROMIUM), *QUIET, profile, "--window-size=1400,1000", "--virtual-time-budget=20000"]
    shot = subprocess.run(
        [*shared, f"--screenshot={picture}", page], capture_output=True, check=True, timeout=120
    )
    assert picture.exists(), shot.stderr
    document = subprocess.run(
        [*shared, "--dump-dom", page], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert name in document
    assert "Completed" in document
    with Image.open(picture) as image:
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 50  # a page, not a blank
