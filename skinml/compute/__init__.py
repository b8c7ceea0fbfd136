"""Run shards of work on Dask workers, here, on an existing cluster or on one that is started for the run.

Only this package uses Dask.

Dask is imported only when it is used, because `skinml --help` must not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinml.compute.connect import connect
from skinml.compute.cores import cores, width
from skinml.compute.preflight import check_cluster
from skinml.compute.shards import NOT_YET, NotYet, call, map_shards
from skinml.compute.spec import ClusterSpec
from skinml.compute.started import hold

if TYPE_CHECKING:
    from distributed import Client as Client

__all__ = [
    "NOT_YET",
    "Client",
    "ClusterSpec",
    "NotYet",
    "call",
    "check_cluster",
    "connect",
    "cores",
    "hold",
    "map_shards",
    "width",
]
