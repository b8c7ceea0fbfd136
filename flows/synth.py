"""The synth verb: a made-up archive, with a progress bar."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from skinml.lab.synth import make_archive
from skinml.requests.lab import SynthRequest


def synth(request: SynthRequest) -> dict[str, Any]:
    """Write a made-up archive in HAM10000's layout, some of its files broken.

    Args:
        request: how many images, where, which fraction of them is broken, the seed.
    """
    with tqdm(total=request.images, unit="images", disable=None, leave=False) as bar:

        def on_progress(images: int) -> None:
            bar.update(images)

        archive = make_archive(request.out, request.images, request.corrupt, request.seed, on_progress)
    return {
        "images": archive.images,
        "corrupt": archive.corrupt,
        "roots": [str(root) for root in archive.roots],
        "metadata": str(archive.metadata),
    }
