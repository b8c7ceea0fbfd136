"""The fetch verb: download HAM10000 from the ISIC archive, with a progress bar.

Not a flow, because it belongs to no workspace.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from skinml.errors import RunError
from skinml.isic_archive.address import check_base
from skinml.isic_archive.licence import LICENCE, TERMS, check_accepted
from skinml.requests.fetching import FetchRequest
from tasks.progress import progress_bar

if TYPE_CHECKING:
    from skinml.isic_archive.download import Advance

logger = logging.getLogger("skinml.fetch")

NAMED = 3
"""How many failed images an error names."""


def fetch(request: FetchRequest) -> dict[str, Any]:
    """Fetch what is not there yet, and write manifest, metadata and licence.

    Args:
        request: the folder, and that the licence is accepted.

    Raises:
        RunError: some images could not be fetched; the same command continues.
    """
    from skinml.isic_archive.client import Client  # and with it httpx, which loads rich
    from skinml.isic_archive.download import check_folder, download
    from skinml.isic_archive.pages import find_ham10000
    from skinml.isic_archive.source import write_description

    started = time.perf_counter()
    check_accepted(request.accept_licence)
    base, folder = check_base(request.url), check_folder(request.out)
    logger.info("%s", TERMS)
    with Client(base, request.connections) as client, ExitStack() as bar:
        collection = find_ham10000(client)

        def begin(total: int) -> Advance:
            return bar.enter_context(progress_bar("fetch", total, "images"))

        progress = download(client, collection, folder, request.connections, request.limit, begin)
    if progress.failed:
        some = "; ".join(f"{name}: {why}" for name, why in list(progress.failed.items())[:NAMED])
        raise RunError(
            f"{len(progress.failed)} of {len(progress.images)} images could not be fetched ({some}); run the "
            "same command again, which fetches only these"
        )
    files = write_description(folder, base, collection, progress, request.limit is not None)
    logger.info("prepare them: skinml prepare --images %s --metadata %s", files[0], files[2])
    return {
        "images": len(progress.fetched),
        "fetched": progress.new,
        "there_already": len(progress.fetched) - progress.new,
        "bytes": sum(one.size_bytes for one in progress.fetched.values()),
        "licence": LICENCE,
        "files": files,
        "seconds": round(time.perf_counter() - started, 3),
    }
