"""The model that images are scored with: the thesis CNN, fitted once on made-up images and kept in the cache.

What its weights are does not change how long it takes, but it is fitted well enough that images get different
answers: else nobody could see from the probabilities whether they are of the right image.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.bench import Bench, say
from benchmarks.harness.systems import skinml, skinml_prepare
from skinml.lab.synth import make_archive
from skinml.layout import champion_url

IMAGES = 600
EPOCHS = 20
SIZE = 32
"""Edge of the thesis network's input, px."""


@dataclass(frozen=True)
class Bundle:
    """A workspace that has scored nothing, and in it the folder of its champion's files."""

    workspace: Path
    folder: Path

    @property
    def model(self) -> tuple[str, str]:
        """The champion's name and version."""
        return self.folder.parent.name, self.folder.name

    def copy_to(self, workspace: Path) -> Path:
        """A workspace with the same models and no tables."""
        shutil.copytree(self.workspace / "models", workspace / "models")
        return workspace


def make_bundle(bench: Bench, images: int = IMAGES, epochs: int = EPOCHS) -> Bundle:
    """The cache's model, fitted where there is none yet."""
    home = bench.cache / f"model-{images}-{epochs}"
    chosen = home / "chosen"
    if not chosen.exists():
        shutil.rmtree(home, ignore_errors=True)  # what was cut off half-way is made again
        chosen.parent.mkdir(parents=True)
        chosen.write_text(str(_fit(bench, home, images, epochs)), encoding="utf-8")
    folder = home / chosen.read_text(encoding="utf-8")
    return Bundle(folder.parents[2], folder)


def _fit(bench: Bench, home: Path, images: int, epochs: int) -> Path:
    """Make images up, prepare them, fit, let int8 score; the version's folder, relative to `home`."""
    say(f"fitting the model that everybody scores with, on {images} made-up images ...")
    archive = make_archive(home / "archive", images)
    workspace = home / "workspace"
    first, second = map(str, archive.roots)
    bench.run(skinml_prepare(workspace, first, archive.metadata, SIZE, "--images", second))
    bench.run(skinml(workspace, "train", "--epochs", str(epochs)))
    (manifest,) = (workspace / "models").glob("*/*/manifest.json")
    if not Path(champion_url(str(workspace))).exists():  # too few images or epochs for the floors
        bench.run(skinml(workspace, "models", "promote", manifest.parent.name, "--force"))
    permit_int8(manifest)
    return manifest.parent.relative_to(home)


def permit_int8(manifest: Path) -> None:
    """Let the champion score in int8, whatever its test lesions show: it is its speed that is measured here.

    So few made-up lesions cannot show that it loses nothing, and training says so. The champion's record has
    the SHA-256 of the manifest, and gets that of the changed one.
    """
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["precisions"]["int8"]["allowed"] = True
    changed = json.dumps(content, indent=2).encode()
    manifest.write_bytes(changed)
    record = manifest.parents[2] / "champion.json"
    champion = json.loads(record.read_text(encoding="utf-8"))
    champion["manifest_sha256"] = hashlib.sha256(changed).hexdigest()
    record.write_text(json.dumps(champion, indent=2), encoding="utf-8")
