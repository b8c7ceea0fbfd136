"""The synth verb: make a synthetic archive, with a progress bar."""

from __future__ import annotations

from typing import Any

from skinml.lab.synth import make_archive
from skinml.requests.lab import SynthRequest
from tasks.progress import progress_bar


def synth(request: SynthRequest) -> dict[str, Any]:
    """Write a made-up archive in HAM10000's layout, some of its files broken.

    Args:
        request: how many images, where, which fraction of them is broken, the seed.
    """
    with progress_bar("synth", request.images, "images") as advance:
        archive = make_archive(request.out, request.images, request.corrupt, request.seed, advance)
    return {
        "images": archive.images,
        "corrupt": archive.corrupt,
        "roots": [str(root) for root in archive.roots],
        "metadata": str(archive.metadata),
    }
