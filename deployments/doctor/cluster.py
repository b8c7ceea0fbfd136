"""Does the Dask scheduler of --cluster answer, and how many workers does it have?"""

from __future__ import annotations

from skinml import compute
from skinml.checkup.checks import Finding, ok, warning


def check_cluster(address: str, seconds: float) -> Finding:
    """The scheduler answers and has workers. A run checks more: versions, storage (`compute.preflight`).

    Raises:
        RequestError: no scheduler answers at the address.
    """
    with compute.connect(address) as client:
        workers = client.nthreads()
    if not workers:
        return warning(
            f"{address}: answers, and has no workers", "start workers; an adaptive cluster starts none idle"
        )
    return ok(f"{address}: {len(workers)} workers with {sum(workers.values())} threads")
