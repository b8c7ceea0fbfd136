"""Read the file of a cluster, TOML or YAML, and check it; one line says the first mistake."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from skinml.errors import RequestError
from skinml.strict_json import first_problem, printable

LARGEST_BYTES = 1_000_000
"""A larger file describes no cluster."""


MOST_VALUES, DEEPEST = 100_000, 50
"""A file with more values, or with deeper ones, describes no cluster. YAML's aliases (`*name`) make billions of
values of a few lines, or values that contain themselves."""


class ClusterFile(BaseModel):
    """The base class of every cluster's file: no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


File = TypeVar("File", bound=ClusterFile)


def read_cluster_file(asked: str, path: str, model: type[File]) -> File:
    """Return the content of a cluster's file.

    Args:
        asked: what was asked, such as `--cluster slurm:cluster.toml`; errors begin with it.
        path: ends in .toml, .yaml or .yml; a relative one counts from the current folder.
        model: what the file may contain.

    Raises:
        RequestError: no such file, neither TOML nor YAML, an unknown or missing key, a wrong value.
    """
    values = _parse(asked, Path(path).expanduser())
    if not isinstance(values, dict):
        raise RequestError(f"{asked}: the file holds no table of keys and values")
    if not _is_small(values):
        raise RequestError(
            f"{asked}: more than {MOST_VALUES:,} values, or deeper than {DEEPEST}: no cluster's file"
        )
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise RequestError(printable(f"{asked}: unknown key {place}; known are {known}")) from None
        if first["type"] == "missing":
            raise RequestError(f"{asked}: the key {place} is missing") from None
        raise RequestError(f"{asked}: {first_problem(error)}") from None


def _is_small(values: Any) -> bool:
    """Whether it has few enough values, counted as if every alias were written out."""
    level, count = [values], 0
    for _ in range(DEEPEST):
        count += len(level)
        inner: list[Any] = []
        for one in level:
            inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            if count + len(inner) > MOST_VALUES:
                return False
        if not inner:
            return True
        level = inner
    return False


def _parse(asked: str, path: Path) -> Any:
    import yaml  # Dask's own configuration is YAML, so this is always installed

    parsers = {".toml": tomllib.loads, ".yaml": yaml.safe_load, ".yml": yaml.safe_load}
    if path.suffix not in parsers:
        raise RequestError(f"{asked}: the name of the file must end in {', '.join(parsers)}")
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise RequestError(f"{asked}: larger than {LARGEST_BYTES:,} bytes, so not the file of a cluster")
        return parsers[path.suffix](content.decode())
    except FileNotFoundError:
        raise RequestError(f"{asked}: no such file: {path.absolute()}") from None
    except OSError as error:
        raise RequestError(f"{asked}: cannot be read: {error.strerror}") from None
    except (
        ValueError,
        RecursionError,
        yaml.YAMLError,
    ) as error:  # tomllib and UnicodeDecodeError are ValueErrors
        said = printable(" ".join(str(error).split()) or type(error).__name__)
        raise RequestError(f"{asked}: not {path.suffix[1:].upper()}: {said[:200]}") from None
