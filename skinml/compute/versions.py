"""Which versions a process runs, and in what two processes differ."""

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
"""What a shard's rows depend on, and what carries shards to workers and back."""

Versions = Mapping[str, str | None]
"""By name; None for what is not installed."""


def versions_here() -> dict[str, str | None]:
    """The versions that this process runs."""
    return version_reader()(LIBRARIES)


def version_reader() -> Callable[[Sequence[str]], dict[str, str | None]]:
    """A function that says which versions of distributions are installed.

    Made anew, because such a function is pickled whole and not by the name of its module: it runs on a worker
    that has no skinml.
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
        else:  # a checkout on the path has no metadata, or those of another version
            found["skinml"] = skinml.__version__
        return found

    return installed_versions


def difference(here: Versions, there: Versions) -> str | None:
    """In one clause, the first library in which a worker differs from the driver; None if there is none."""
    if there.get("skinml") is None:
        return f"has no skinml; install {here['skinml']}, the version of this process"
    for name, version in here.items():
        if there.get(name) != version:
            theirs, ours = there.get(name) or "missing", version or "missing"
            return f"{name} is {theirs} there and {ours} here; install the same version on both"
    return None
