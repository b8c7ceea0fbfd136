"""Takes the pictures of docs/ui.md: made-up images, a Prefect server of its own, headless Chromium.

    python -m tests.browser.screenshots docs/ui

Nights: a usual one, one of dark images, one with too many broken files. Nothing of it is real.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from flows.server import Server, free_port, prefect_server
from skinml.lab.synth import make_archive
from tests.browser.test_prefect_ui import CHROMIUM, QUIET

COLOURS = 256
"""A page of the UI needs no more, and takes half of the bytes."""

LABELLED, EPOCHS, NIGHT = 600, 12, 120


def main(out: Path) -> None:
    """Make the nights, then take the pictures."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="skinml-screenshots-") as folder:
        place = Path(folder)
        with prefect_server(place / "prefect", free_port()) as server:
            server.wait_until_ready()
            make_nights(place, server)
            with browser_page() as page:
                take(page, server, out)


def make_nights(place: Path, server: Server) -> None:
    """Prepare, train, and score three archives."""
    labelled = make_archive(place / "labelled", LABELLED, seed=3)
    fresh = make_archive(place / "fresh", NIGHT, seed=7)
    nights = {name: place / f"archive-{name}" for name in ("usual", "dark", "broken")}
    for folder in nights.values():
        folder.mkdir()
    for number, file in enumerate(sorted(file for root in fresh.roots for file in root.glob("*.jpg"))):
        data = file.read_bytes()
        (nights["usual"] / file.name).write_bytes(data if number % 20 else data[: len(data) // 2])
        with Image.open(io.BytesIO(data)) as image:
            image.point(lambda value: value // 3).save(nights["dark"] / f"dark-{file.name}", quality=90)
        if number % 4:
            (nights["broken"] / f"b-{file.name}").write_bytes(data if number % 2 else data[: len(data) // 2])
    workspace = place / "workspace"
    roots = [flag for root in labelled.roots for flag in ("--images", root)]
    skinml(server, workspace, "prepare", *roots, "--metadata", labelled.metadata)
    trained = skinml(server, workspace, "train", "--epochs", EPOCHS, "--batch-size", 16)
    if trained["decision"] != "first":
        force = ("--force", "--reason", "a picture needs a champion")
        skinml(server, workspace, "models", "promote", trained["model_version"], *force)
    for name, folder in nights.items():
        skinml(server, workspace, "score", "--archive", folder, fails=name == "broken")


def skinml(server: Server, workspace: Path, *arguments: object, fails: bool = False) -> dict[str, Any]:
    """Run the command line as a person would."""
    command = [sys.executable, "-P", "-m", "skinml", "--json", "--workspace", str(workspace)]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env={**os.environ, "PREFECT_API_URL": server.url},
        cwd=workspace.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if bool(done.returncode) != fails:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page in a browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page(viewport={"width": 1280, "height": 860})
        browser.close()


def take(page: Page, server: Server, out: Path) -> None:
    """The list of runs, a drifted run, its most suspicious images, the confusion matrix."""
    [drifted] = find(server, "flow_runs", {"flow_runs": {"state": {"name": {"any_": ["Drifted"]}}}})
    places = {
        "runs": "/runs",
        "drifted": f"/runs/flow-run/{drifted['id']}",
        "suspicious": f"/artifacts/artifact/{of_run(server, 'score-suspicious', 'Usual')}",
        "confusion": f"/artifacts/artifact/{of_run(server, 'train-confusion', 'Completed')}",
    }
    for name, place in places.items():
        page.goto(server.ui + place)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(3000)  # charts are drawn after the last answer
        if name == "runs":
            page.mouse.wheel(0, 420)
            page.wait_for_timeout(500)
        if name in ("suspicious", "confusion"):
            page.wait_for_function("[...document.images].some(image => image.naturalWidth > 300)")
        save(page.screenshot(), out / f"{name}.png")


def save(picture: bytes, path: Path) -> None:
    """Keep a screenshot with a palette."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS).save(path, "PNG", optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", file=sys.stderr)


def of_run(server: Server, key: str, state: str) -> str:
    """The id of the newest artifact with a key, of a run that has ended in a state."""
    ended = {"flow_runs": {"state": {"name": {"any_": [state]}}}}
    query = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
    return str(find(server, "artifacts", {**query, **ended})[0]["id"])


def find(server: Server, what: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ask the server's API."""
    answer = httpx.post(f"{server.url}/{what}/filter", json=query, timeout=60)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
