"""Run shards of work on Dask workers, on this machine or on an existing cluster. Only this package uses Dask.

Dask is imported only when it is used, because `skinml --help` must not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinml.compute.connect import connect
from skinml.compute.cores import cores, width
from skinml.compute.preflight import check_cluster
from skinml.compute.shards import call, map_shards

if TYPE_CHECKING:
    from distributed import Client as Client

__all__ = ["Client", "call", "check_cluster", "connect", "cores", "map_shards", "width"]
