"""The base classes of all requests, and their types of fields."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo


def _as_list(value: Any) -> Any:
    """One value, or several separated by commas (how an environment variable gives a list), as a list."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _as_fraction(value: Any) -> Any:
    """20% as 0.2."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100
        except ValueError:
            return value
    return value


def _cluster_of_this_machine() -> str | None:
    """SKINML_CLUSTER of this process. A deployment does not know the cluster of the worker that will run it."""
    return os.environ.get("SKINML_CLUSTER") or None


def _unless_local(value: Any) -> Any:
    """`local` says the default by its name, so that a flag can undo a configuration file."""
    return None if value == "local" else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=tuple[str, ...] | str)]
"""A flag that may be repeated."""

Fraction = Annotated[float, BeforeValidator(_as_fraction), Field(ge=0.0, le=1.0)]
"""0 to 1, also given as a percentage."""

MAX_QUARANTINED = 0.2
"""The default of `--max-quarantined`."""


class Request(BaseModel):
    """What every verb shares: frozen values, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)


SHARED = "shared"
"""Marks a field that means the same in every verb that has it so marked.

Such a field may be set once for all of them: at the top of the file, and by SKINML_ and its name, as
`SKINML_ARCHIVE`. Any other field is set for one verb (`SKINML_TRAIN_MODEL`), because its name means something
else elsewhere, or may later: `model` is an architecture in `train` and a version in `score`; `images` is shared
where it names folders, and not in `synth`, where it is a number.
"""


class ClusterRequest(Request):
    """A verb whose work is spread by Dask."""

    cluster: Annotated[str | None, BeforeValidator(_unless_local), SHARED] = Field(
        default_factory=_cluster_of_this_machine,
        validate_default=True,
        description="existing Dask scheduler, tcp:// or tls://host:port; or KIND:FILE to start one for the "
        "run: kubernetes, slurm, pbs, lsf, sge, htcondor (default: local)",
    )
    workers: Annotated[int | None, SHARED] = Field(
        None,
        ge=1,
        le=1024,
        description="local processes (default: one per core); with --cluster: how many it must have, or are "
        "started (default: as FILE says)",
    )
    cluster_wait: Annotated[float, SHARED] = Field(
        60.0, ge=0.0, le=86_400.0, description="seconds to wait for the workers of --cluster"
    )


def asked_as(name: str, field: FieldInfo) -> str:
    """What the command line, the file and the environment call a field: its alias where its name is taken.

    `--for` is one: Python keeps the word `for` to itself.
    """
    return field.alias or name


POSITIONAL = "positional"
"""Marks a field that stands on the command line without its name, such as `list` in `quarantine list`."""


def is_shared(field: FieldInfo) -> bool:
    """Whether a field may be set once for all verbs."""
    return SHARED in field.metadata


def is_positional(field: FieldInfo) -> bool:
    """Whether a field stands on the command line without its name."""
    return POSITIONAL in field.metadata
