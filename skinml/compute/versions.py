"""Compare the library versions of two processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

LIBRARIES = (
    "skinml",
    "dask",
    "distributed",
    "cloudpickle",
    "msgpack",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "simplejpeg",
    "cykooz-resizer",
    "onnxruntime",
    "obstore",
    "s3fs",
    "deltalake",
)
"""Libraries that a shard's rows depend on, or that move shards between processes."""

Versions = Mapping[str, str | None]
"""Version by name; None if not installed."""


def versions_here() -> dict[str, str | None]:
    """Return the versions in this process."""
    return version_reader()(LIBRARIES)


def version_reader() -> Callable[[Sequence[str]], dict[str, str | None]]:
    """Return a function that reads the versions of installed distributions.

    A nested function is pickled by value and not by its module's name, so it also runs on a worker without
    skinml.
    """

    def installed_versions(names: Sequence[str]) -> dict[str, str | None]:
        from importlib.metadata import PackageNotFoundError, version

        found: dict[str, str | None] = {}
        for name in names:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = None
        try:
            import skinml
        except ImportError:
            found["skinml"] = None
        else:  # a checkout on the path has no metadata, or that of another version
            found["skinml"] = skinml.__version__
        return found

    return installed_versions


def difference(here: Versions, there: Versions) -> str | None:
    """Describe the first library in which a worker differs from the driver; None if none differs."""
    if there.get("skinml") is None:
        return f"has no skinml; install {here['skinml']}, the version of this process"
    for name, version in here.items():
        if there.get(name) != version:
            theirs, ours = there.get(name) or "missing", version or "missing"
            return f"{name} is {theirs} there and {ours} here; install the same version on both"
    return None
