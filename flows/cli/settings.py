"""What can be asked: one frozen model per verb, read from a TOML file, SKINML_* variables and flags.

The later source wins: defaults, file, environment, flags. In the file a verb's values stand in the table
of its name (`[score]`), and values at the top (`workspace`, `cluster`, `cluster_wait`, `workers`) serve every
verb; in the environment `SKINML_SCORE_ARCHIVE` is for one verb and `SKINML_WORKSPACE` for all. Flags of the
command line are made from these models too (field name, type, description): one list of what can be asked.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from flows.cli.suggest import did_you_mean
from flows.cli.verbs import REQUESTS
from skinml.errors import RequestError
from skinml.requests.base import ClusterRequest, Request, asked_as, is_positional

ENVIRONMENT_PREFIX = "SKINML_"


RequestType = TypeVar("RequestType", bound=Request)

SHARED = tuple(ClusterRequest.model_fields)
"""What may be set once for all verbs, at the top of the file and as SKINML_CLUSTER and so on."""


def read_file(path: Path | None) -> dict[str, Any]:
    """The configuration file as a dictionary; empty when there is none."""
    if path is None:
        return {}
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"--config {path}: {error.strerror or error}; name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"--config {path}: not TOML: {error}") from error
    known = ("workspace", *SHARED, *REQUESTS)
    for name in file:
        if name not in known:
            advice = did_you_mean(name, known)
            raise RequestError(
                f"--config {path}: {name!r} is none of {', '.join(known)}; {advice}".rstrip("; ")
            )
    return file


def choose_workspace(flag: str | None, file: Mapping[str, Any]) -> str:
    """The workspace's URL from the flag, SKINML_WORKSPACE or the file, in this order."""
    workspace = flag or os.environ.get(f"{ENVIRONMENT_PREFIX}WORKSPACE") or file.get("workspace")
    if not workspace:
        raise RequestError(
            "no workspace: give --workspace URL (a folder or s3://bucket/prefix) or SKINML_WORKSPACE"
        )
    return str(workspace)


def load(model: type[RequestType], verb: str, flags: Mapping[str, Any], file: Mapping[str, Any]) -> RequestType:
    """The request for one verb: file, then environment, then flags, checked.

    Args:
        model: the verb's model.
        verb: its name on the command line, also its table in the file.
        flags: what the command line gave; absent names were not given.
        file: what `read_file` returned.

    Raises:
        RequestError: a value that the model refuses, in one line that names it.
    """
    values: dict[str, Any] = {}
    section = file.get(verb, {})
    if not isinstance(section, Mapping):
        raise RequestError(f"config: {verb} = {section!r} should be a table, [{verb}]")
    values.update({name: file[name] for name in SHARED if name in file and name in model.model_fields})
    values.update(section)
    for name in names_of(model):
        for variable in (*([name] if name in SHARED else []), f"{verb}_{name}"):  # the verb's own wins
            given = os.environ.get(ENVIRONMENT_PREFIX + variable.upper())
            if given:
                values[name] = given
    values.update(flags)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestError(_one_line(verb, model, error)) from error


def names_of(model: type[Request]) -> list[str]:
    """What the command line, the file and the environment call the fields of a request."""
    return [asked_as(name, field) for name, field in model.model_fields.items()]


def _one_line(verb: str, model: type[Request], error: ValidationError) -> str:
    """The first thing that a model refused, as one line that names flag and value."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    flag = "--" + name.replace("_", "-")
    if name in model.model_fields and is_positional(model.model_fields[name]):
        flag = name
    if first["type"] == "missing":
        return f"{verb}: {flag} is needed"
    if first["type"] == "extra_forbidden":
        return f"{verb}: {flag[2:]} is not something {verb} knows"
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{verb}: {message}"
    message = message[0].lower() + message[1:]
    known = re.findall(r"'([^']+)'", first.get("ctx", {}).get("expected", ""))  # of a field that has choices
    return f"{verb}: {flag} {first['input']!r}: {did_you_mean(str(first['input']), known)}{message}"
